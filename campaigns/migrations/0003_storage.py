"""Room for updates in place in the tables that are updated often."""

from django.db import migrations

FORWARD = """
ALTER TABLE campaigns_chunk SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);
ALTER TABLE campaigns_counter SET (fillfactor = 50);
ALTER TABLE campaigns_reasoncounter SET (fillfactor = 50);
"""
BACKWARD = """
ALTER TABLE campaigns_chunk RESET (fillfactor, autovacuum_vacuum_scale_factor);
ALTER TABLE campaigns_counter RESET (fillfactor);
ALTER TABLE campaigns_reasoncounter RESET (fillfactor);
"""


class Migration(migrations.Migration):
    dependencies = [("campaigns", "0002_messages")]

    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
