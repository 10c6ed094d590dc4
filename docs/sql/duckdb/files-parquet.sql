-- The rows of all files that a manifest names, as views. Files that no manifest names do not count.
-- Set the folder first, and run this again after each load:
--     SET VARIABLE lake = 's3://my-bucket/trackings';
CREATE OR REPLACE TEMPORARY TABLE manifest_files AS
SELECT file."table" AS table_name, getvariable('lake') || '/' || file.path AS path
FROM (
    SELECT unnest(files) AS file
    FROM read_json(
        getvariable('lake') || '/_manifests/*/*.json',
        columns = {files: 'STRUCT("table" VARCHAR, path VARCHAR)[]'}
    )
);

SET VARIABLE tracking_rows = (SELECT list(path) FROM manifest_files WHERE table_name = 'trackings');
CREATE OR REPLACE TEMPORARY VIEW tracking_rows AS
SELECT * FROM read_parquet(
    getvariable('tracking_rows'),
    hive_partitioning = true, union_by_name = true
);

SET VARIABLE event_rows = (SELECT list(path) FROM manifest_files WHERE table_name = 'tracking_events');
CREATE OR REPLACE TEMPORARY VIEW event_rows AS
SELECT * FROM read_parquet(
    getvariable('event_rows'),
    hive_partitioning = true, union_by_name = true
);

SET VARIABLE status_change_rows = (SELECT list(path) FROM manifest_files WHERE table_name = 'tracking_status_changes');
CREATE OR REPLACE TEMPORARY VIEW status_change_rows AS
SELECT * FROM read_parquet(
    getvariable('status_change_rows'),
    hive_partitioning = true, union_by_name = true
);
