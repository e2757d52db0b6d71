"""The tags of a person in a form whose index finds them by how they begin."""

import django.contrib.postgres.indexes
import django.contrib.postgres.search
from django.db import migrations, models

# Dear, as the planner sees it: with a limit it would otherwise rather compute it for every row.
CREATE = """
CREATE FUNCTION tag_words(tags text[]) RETURNS tsvector
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE COST 10000 AS $$
    SELECT array_to_tsvector(coalesce(array_agg(lower(tag)), '{}'::text[]))
    FROM unnest(tags) tag WHERE tag <> ''
$$
"""


class Migration(migrations.Migration):
    dependencies = [("devices", "0028_import_reviews")]

    operations = [
        migrations.RunSQL(CREATE, "DROP FUNCTION tag_words(text[])"),
        migrations.AddIndex(
            model_name="person",
            index=django.contrib.postgres.indexes.GinIndex(
                models.Func(
                    "tags",
                    function="tag_words",
                    output_field=django.contrib.postgres.search.SearchVectorField(),
                ),
                name="person_tag_words",
            ),
        ),
    ]
