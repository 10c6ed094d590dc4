-- Brings the views trackings, tracking_events and tracking_status_changes into tables of the schema warehouse.

MERGE INTO warehouse.trackings t
USING trackings s
ON t.account = s.account AND t.carrier_code = s.carrier_code AND t.tracking_number = s.tracking_number
WHEN MATCHED AND t.changed_at <> s.changed_at THEN UPDATE SET
    tracking_id = s.tracking_id,
    status = s.status,
    substatus = s.substatus,
    order_id = s.order_id,
    created_at = s.created_at,
    updated_at = s.updated_at,
    first_event_at = s.first_event_at,
    last_event_at = s.last_event_at,
    first_attempt_at_local = s.first_attempt_at_local,
    delivered_at_local = s.delivered_at_local,
    received_at_local = s.received_at_local,
    dispatched_at_local = s.dispatched_at_local,
    departed_airport_at_local = s.departed_airport_at_local,
    arrived_abroad_at_local = s.arrived_abroad_at_local,
    customs_cleared_at_local = s.customs_cleared_at_local,
    destination_arrived_at_local = s.destination_arrived_at_local,
    origin_country = s.origin_country,
    destination_country = s.destination_country,
    is_updating = s.is_updating,
    is_archived = s.is_archived,
    customer_name = s.customer_name,
    customer_email = s.customer_email,
    customer_phone = s.customer_phone,
    signed_by = s.signed_by,
    raw = s.raw,
    content_hash = s.content_hash,
    first_seen_at = s.first_seen_at,
    changed_at = s.changed_at,
    last_seen_at = s.last_seen_at,
    missing_since = s.missing_since
WHEN NOT MATCHED THEN INSERT (
    account,
    carrier_code,
    tracking_number,
    tracking_id,
    status,
    substatus,
    order_id,
    created_at,
    updated_at,
    first_event_at,
    last_event_at,
    first_attempt_at_local,
    delivered_at_local,
    received_at_local,
    dispatched_at_local,
    departed_airport_at_local,
    arrived_abroad_at_local,
    customs_cleared_at_local,
    destination_arrived_at_local,
    origin_country,
    destination_country,
    is_updating,
    is_archived,
    customer_name,
    customer_email,
    customer_phone,
    signed_by,
    raw,
    content_hash,
    first_seen_at,
    changed_at,
    last_seen_at,
    missing_since
) VALUES (
    s.account,
    s.carrier_code,
    s.tracking_number,
    s.tracking_id,
    s.status,
    s.substatus,
    s.order_id,
    s.created_at,
    s.updated_at,
    s.first_event_at,
    s.last_event_at,
    s.first_attempt_at_local,
    s.delivered_at_local,
    s.received_at_local,
    s.dispatched_at_local,
    s.departed_airport_at_local,
    s.arrived_abroad_at_local,
    s.customs_cleared_at_local,
    s.destination_arrived_at_local,
    s.origin_country,
    s.destination_country,
    s.is_updating,
    s.is_archived,
    s.customer_name,
    s.customer_email,
    s.customer_phone,
    s.signed_by,
    s.raw,
    s.content_hash,
    s.first_seen_at,
    s.changed_at,
    s.last_seen_at,
    s.missing_since
);

MERGE INTO warehouse.tracking_events t
USING tracking_events s
ON t.account = s.account AND t.carrier_code = s.carrier_code AND t.tracking_number = s.tracking_number AND t.event_key = s.event_key
WHEN MATCHED AND (COALESCE(t.substatus, '') <> COALESCE(s.substatus, '')
    OR COALESCE(t.description, '') <> COALESCE(s.description, '')
    OR (t.superseded_at IS NULL) <> (s.superseded_at IS NULL) OR t.superseded_at <> s.superseded_at) THEN UPDATE SET
    event_time_local = s.event_time_local,
    status = s.status,
    substatus = s.substatus,
    place = s.place,
    description = s.description,
    first_seen_at = s.first_seen_at,
    superseded_at = s.superseded_at
WHEN NOT MATCHED THEN INSERT (
    account,
    carrier_code,
    tracking_number,
    event_key,
    event_time_local,
    status,
    substatus,
    place,
    description,
    first_seen_at,
    superseded_at
) VALUES (
    s.account,
    s.carrier_code,
    s.tracking_number,
    s.event_key,
    s.event_time_local,
    s.status,
    s.substatus,
    s.place,
    s.description,
    s.first_seen_at,
    s.superseded_at
);

MERGE INTO warehouse.tracking_status_changes t
USING tracking_status_changes s
ON t.account = s.account AND t.carrier_code = s.carrier_code AND t.tracking_number = s.tracking_number AND t.observed_at = s.observed_at
WHEN NOT MATCHED THEN INSERT (
    account,
    carrier_code,
    tracking_number,
    observed_at,
    previous_status,
    status,
    substatus
) VALUES (
    s.account,
    s.carrier_code,
    s.tracking_number,
    s.observed_at,
    s.previous_status,
    s.status,
    s.substatus
);
