work() { run sqlite3 -batch :memory: <"$ROOT/workloads/database.sql"; }
