-- Tables for the rows of the files.

CREATE TABLE IF NOT EXISTS tracking_rows (
    account VARCHAR,
    carrier_code VARCHAR,
    tracking_number VARCHAR,
    tracking_id VARCHAR,
    status VARCHAR,
    substatus VARCHAR,
    order_id VARCHAR,
    created_at TIMESTAMP_NTZ,
    updated_at TIMESTAMP_NTZ,
    first_event_at TIMESTAMP_NTZ,
    last_event_at TIMESTAMP_NTZ,
    first_attempt_at_local TIMESTAMP_NTZ,
    delivered_at_local TIMESTAMP_NTZ,
    received_at_local TIMESTAMP_NTZ,
    dispatched_at_local TIMESTAMP_NTZ,
    departed_airport_at_local TIMESTAMP_NTZ,
    arrived_abroad_at_local TIMESTAMP_NTZ,
    customs_cleared_at_local TIMESTAMP_NTZ,
    destination_arrived_at_local TIMESTAMP_NTZ,
    origin_country VARCHAR,
    destination_country VARCHAR,
    is_updating BOOLEAN,
    is_archived BOOLEAN,
    customer_name VARCHAR,
    customer_email VARCHAR,
    customer_phone VARCHAR,
    signed_by VARCHAR,
    raw VARCHAR,
    content_hash VARCHAR,
    first_seen_at TIMESTAMP_NTZ,
    changed_at TIMESTAMP_NTZ,
    last_seen_at TIMESTAMP_NTZ,
    missing_since TIMESTAMP_NTZ,
    event_keys ARRAY
);

CREATE TABLE IF NOT EXISTS event_rows (
    account VARCHAR,
    carrier_code VARCHAR,
    tracking_number VARCHAR,
    event_key VARCHAR,
    event_time_local TIMESTAMP_NTZ,
    status VARCHAR,
    substatus VARCHAR,
    place VARCHAR,
    description VARCHAR,
    first_seen_at TIMESTAMP_NTZ
);

CREATE TABLE IF NOT EXISTS status_change_rows (
    account VARCHAR,
    carrier_code VARCHAR,
    tracking_number VARCHAR,
    observed_at TIMESTAMP_NTZ,
    previous_status VARCHAR,
    status VARCHAR,
    substatus VARCHAR
);
