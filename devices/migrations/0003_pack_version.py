"""devices/versions.py once more, for whoever asks the database."""

from django.db import migrations

CREATE = r"""
CREATE FUNCTION pack_version(version text) RETURNS bigint
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT coalesce((
        SELECT (least(left(m[1], 9)::bigint, 32767) << 48)
             | (least(left(coalesce(m[2], '0'), 9)::bigint, 65535) << 32)
             | (least(left(coalesce(m[3], '0'), 9)::bigint, 65535) << 16)
             | (least(left(coalesce(m[4], '0'), 9)::bigint, 32767) << 1)
             | (m[5] !~ '^([-_. ]?[A-Za-z]|-)')::int
        FROM regexp_match(
            version, '^\s*[vV]?([0-9]+)(?:\.([0-9]+))?(?:\.([0-9]+))?(?:\.([0-9]+))?(.*)$'
        ) m
        WHERE m IS NOT NULL
    ), 0)
$$
"""


class Migration(migrations.Migration):
    dependencies = [("devices", "0002_storage")]

    operations = [migrations.RunSQL(CREATE, "DROP FUNCTION pack_version(text)")]
