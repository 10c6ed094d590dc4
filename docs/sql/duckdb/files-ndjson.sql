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
SELECT * FROM read_json(
    getvariable('tracking_rows'),
    hive_partitioning = true, format = 'newline_delimited', columns = {
        account: 'VARCHAR',
        carrier_code: 'VARCHAR',
        tracking_number: 'VARCHAR',
        tracking_id: 'VARCHAR',
        status: 'VARCHAR',
        substatus: 'VARCHAR',
        order_id: 'VARCHAR',
        created_at: 'TIMESTAMPTZ',
        updated_at: 'TIMESTAMPTZ',
        first_event_at: 'TIMESTAMP',
        last_event_at: 'TIMESTAMP',
        first_attempt_at_local: 'TIMESTAMP',
        delivered_at_local: 'TIMESTAMP',
        received_at_local: 'TIMESTAMP',
        dispatched_at_local: 'TIMESTAMP',
        departed_airport_at_local: 'TIMESTAMP',
        arrived_abroad_at_local: 'TIMESTAMP',
        customs_cleared_at_local: 'TIMESTAMP',
        destination_arrived_at_local: 'TIMESTAMP',
        origin_country: 'VARCHAR',
        destination_country: 'VARCHAR',
        is_updating: 'BOOLEAN',
        is_archived: 'BOOLEAN',
        customer_name: 'VARCHAR',
        customer_email: 'VARCHAR',
        customer_phone: 'VARCHAR',
        signed_by: 'VARCHAR',
        raw: 'VARCHAR',
        content_hash: 'VARCHAR',
        first_seen_at: 'TIMESTAMPTZ',
        changed_at: 'TIMESTAMPTZ',
        last_seen_at: 'TIMESTAMPTZ',
        missing_since: 'TIMESTAMPTZ',
        event_keys: 'VARCHAR[]'
    }
);

SET VARIABLE event_rows = (SELECT list(path) FROM manifest_files WHERE table_name = 'tracking_events');
CREATE OR REPLACE TEMPORARY VIEW event_rows AS
SELECT * FROM read_json(
    getvariable('event_rows'),
    hive_partitioning = true, format = 'newline_delimited', columns = {
        account: 'VARCHAR',
        carrier_code: 'VARCHAR',
        tracking_number: 'VARCHAR',
        event_key: 'VARCHAR',
        event_time_local: 'TIMESTAMP',
        status: 'VARCHAR',
        substatus: 'VARCHAR',
        place: 'VARCHAR',
        description: 'VARCHAR',
        first_seen_at: 'TIMESTAMPTZ'
    }
);

SET VARIABLE status_change_rows = (SELECT list(path) FROM manifest_files WHERE table_name = 'tracking_status_changes');
CREATE OR REPLACE TEMPORARY VIEW status_change_rows AS
SELECT * FROM read_json(
    getvariable('status_change_rows'),
    hive_partitioning = true, format = 'newline_delimited', columns = {
        account: 'VARCHAR',
        carrier_code: 'VARCHAR',
        tracking_number: 'VARCHAR',
        observed_at: 'TIMESTAMPTZ',
        previous_status: 'VARCHAR',
        status: 'VARCHAR',
        substatus: 'VARCHAR'
    }
);
