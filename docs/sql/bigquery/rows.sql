-- Tables for the rows of the files.

CREATE TABLE IF NOT EXISTS tracking_rows (
    account STRING,
    carrier_code STRING,
    tracking_number STRING,
    tracking_id STRING,
    status STRING,
    substatus STRING,
    order_id STRING,
    created_at TIMESTAMP,
    updated_at TIMESTAMP,
    first_event_at DATETIME,
    last_event_at DATETIME,
    first_attempt_at_local DATETIME,
    delivered_at_local DATETIME,
    received_at_local DATETIME,
    dispatched_at_local DATETIME,
    departed_airport_at_local DATETIME,
    arrived_abroad_at_local DATETIME,
    customs_cleared_at_local DATETIME,
    destination_arrived_at_local DATETIME,
    origin_country STRING,
    destination_country STRING,
    is_updating BOOL,
    is_archived BOOL,
    customer_name STRING,
    customer_email STRING,
    customer_phone STRING,
    signed_by STRING,
    raw STRING,
    content_hash STRING,
    first_seen_at TIMESTAMP,
    changed_at TIMESTAMP,
    last_seen_at TIMESTAMP,
    missing_since TIMESTAMP,
    event_keys ARRAY<STRING>
);

CREATE TABLE IF NOT EXISTS event_rows (
    account STRING,
    carrier_code STRING,
    tracking_number STRING,
    event_key STRING,
    event_time_local DATETIME,
    status STRING,
    substatus STRING,
    place STRING,
    description STRING,
    first_seen_at TIMESTAMP
);

CREATE TABLE IF NOT EXISTS status_change_rows (
    account STRING,
    carrier_code STRING,
    tracking_number STRING,
    observed_at TIMESTAMP,
    previous_status STRING,
    status STRING,
    substatus STRING
);
