"""The parts of the report page: pictures, tables and the queries that it shows."""
