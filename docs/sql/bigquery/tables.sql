-- BigQuery: the tables, from the rows of the files (tracking_rows, event_rows, status_change_rows).
CREATE OR REPLACE VIEW trackings AS
WITH answers AS (
    SELECT t.*, CASE WHEN LAG(status) OVER (PARTITION BY account, carrier_code, tracking_number ORDER BY changed_at) = status THEN 0 ELSE 1 END AS is_new_status
    FROM tracking_rows t
    WHERE event_keys IS NOT NULL
), numbered AS (
    SELECT answers.*, SUM(is_new_status) OVER (PARTITION BY account, carrier_code, tracking_number ORDER BY changed_at
               ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS status_number
    FROM answers
), merged AS (
    SELECT account,
           carrier_code,
           tracking_number,
           LAST_VALUE(tracking_id IGNORE NULLS) OVER (PARTITION BY account, carrier_code, tracking_number ORDER BY changed_at
               ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS tracking_id,
           status,
           LAST_VALUE(order_id IGNORE NULLS) OVER (PARTITION BY account, carrier_code, tracking_number ORDER BY changed_at
               ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS order_id,
           LAST_VALUE(created_at IGNORE NULLS) OVER (PARTITION BY account, carrier_code, tracking_number ORDER BY changed_at
               ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS created_at,
           LAST_VALUE(updated_at IGNORE NULLS) OVER (PARTITION BY account, carrier_code, tracking_number ORDER BY changed_at
               ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS updated_at,
           LAST_VALUE(first_event_at IGNORE NULLS) OVER (PARTITION BY account, carrier_code, tracking_number ORDER BY changed_at
               ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS first_event_at,
           LAST_VALUE(last_event_at IGNORE NULLS) OVER (PARTITION BY account, carrier_code, tracking_number ORDER BY changed_at
               ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS last_event_at,
           LAST_VALUE(first_attempt_at_local IGNORE NULLS) OVER (PARTITION BY account, carrier_code, tracking_number ORDER BY changed_at
               ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS first_attempt_at_local,
           delivered_at_local,
           LAST_VALUE(received_at_local IGNORE NULLS) OVER (PARTITION BY account, carrier_code, tracking_number ORDER BY changed_at
               ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS received_at_local,
           LAST_VALUE(dispatched_at_local IGNORE NULLS) OVER (PARTITION BY account, carrier_code, tracking_number ORDER BY changed_at
               ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS dispatched_at_local,
           LAST_VALUE(departed_airport_at_local IGNORE NULLS) OVER (PARTITION BY account, carrier_code, tracking_number ORDER BY changed_at
               ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS departed_airport_at_local,
           LAST_VALUE(arrived_abroad_at_local IGNORE NULLS) OVER (PARTITION BY account, carrier_code, tracking_number ORDER BY changed_at
               ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS arrived_abroad_at_local,
           LAST_VALUE(customs_cleared_at_local IGNORE NULLS) OVER (PARTITION BY account, carrier_code, tracking_number ORDER BY changed_at
               ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS customs_cleared_at_local,
           LAST_VALUE(destination_arrived_at_local IGNORE NULLS) OVER (PARTITION BY account, carrier_code, tracking_number ORDER BY changed_at
               ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS destination_arrived_at_local,
           LAST_VALUE(origin_country IGNORE NULLS) OVER (PARTITION BY account, carrier_code, tracking_number ORDER BY changed_at
               ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS origin_country,
           LAST_VALUE(destination_country IGNORE NULLS) OVER (PARTITION BY account, carrier_code, tracking_number ORDER BY changed_at
               ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS destination_country,
           LAST_VALUE(is_updating IGNORE NULLS) OVER (PARTITION BY account, carrier_code, tracking_number ORDER BY changed_at
               ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS is_updating,
           LAST_VALUE(is_archived IGNORE NULLS) OVER (PARTITION BY account, carrier_code, tracking_number ORDER BY changed_at
               ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS is_archived,
           LAST_VALUE(customer_name IGNORE NULLS) OVER (PARTITION BY account, carrier_code, tracking_number ORDER BY changed_at
               ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS customer_name,
           LAST_VALUE(customer_email IGNORE NULLS) OVER (PARTITION BY account, carrier_code, tracking_number ORDER BY changed_at
               ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS customer_email,
           LAST_VALUE(customer_phone IGNORE NULLS) OVER (PARTITION BY account, carrier_code, tracking_number ORDER BY changed_at
               ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS customer_phone,
           LAST_VALUE(signed_by IGNORE NULLS) OVER (PARTITION BY account, carrier_code, tracking_number ORDER BY changed_at
               ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS signed_by,
           LAST_VALUE(raw IGNORE NULLS) OVER (PARTITION BY account, carrier_code, tracking_number ORDER BY changed_at
               ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS raw,
           content_hash,
           LAST_VALUE(substatus IGNORE NULLS) OVER (PARTITION BY account, carrier_code, tracking_number, status_number ORDER BY changed_at
               ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS substatus,
           MIN(first_seen_at) OVER (PARTITION BY account, carrier_code, tracking_number) AS first_seen_at,
           changed_at,
           last_seen_at,
           ROW_NUMBER() OVER (PARTITION BY account, carrier_code, tracking_number ORDER BY changed_at DESC) AS recency
    FROM numbered
), missing AS (
    SELECT account, carrier_code, tracking_number, MAX(missing_since) AS missing_since
    FROM tracking_rows
    WHERE event_keys IS NULL
    GROUP BY account, carrier_code, tracking_number
)
SELECT r.account,
       r.carrier_code,
       r.tracking_number,
       r.tracking_id,
       r.status,
       r.substatus,
       r.order_id,
       r.created_at,
       r.updated_at,
       r.first_event_at,
       r.last_event_at,
       r.first_attempt_at_local,
       r.delivered_at_local,
       r.received_at_local,
       r.dispatched_at_local,
       r.departed_airport_at_local,
       r.arrived_abroad_at_local,
       r.customs_cleared_at_local,
       r.destination_arrived_at_local,
       r.origin_country,
       r.destination_country,
       r.is_updating,
       r.is_archived,
       r.customer_name,
       r.customer_email,
       r.customer_phone,
       r.signed_by,
       r.raw,
       r.content_hash,
       r.first_seen_at,
       COALESCE(m.missing_since, r.changed_at) AS changed_at,
       r.last_seen_at,
       m.missing_since
FROM merged r
LEFT JOIN missing m ON m.account = r.account AND m.carrier_code = r.carrier_code
    AND m.tracking_number = r.tracking_number AND m.missing_since > r.changed_at
WHERE r.recency = 1;

CREATE OR REPLACE VIEW tracking_events AS
WITH versions AS (
    SELECT account,
           carrier_code,
           tracking_number,
           event_key,
           event_time_local,
           status,
           LAST_VALUE(substatus IGNORE NULLS) OVER (PARTITION BY account, carrier_code, tracking_number, event_key ORDER BY first_seen_at
               ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS substatus,
           place,
           LAST_VALUE(description IGNORE NULLS) OVER (PARTITION BY account, carrier_code, tracking_number, event_key ORDER BY first_seen_at
               ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS description,
           MIN(first_seen_at) OVER (PARTITION BY account, carrier_code, tracking_number, event_key) AS first_seen_at,
           ROW_NUMBER() OVER (PARTITION BY account, carrier_code, tracking_number, event_key ORDER BY first_seen_at DESC) AS recency
    FROM event_rows
), answers AS (
    SELECT account, carrier_code, tracking_number, changed_at, event_keys,
           LEAD(changed_at) OVER (PARTITION BY account, carrier_code, tracking_number ORDER BY changed_at) AS next_changed_at
    FROM tracking_rows
    WHERE event_keys IS NOT NULL
), mentions AS (
    SELECT account, carrier_code, tracking_number, event_key AS event_key, changed_at, next_changed_at
    FROM answers
    CROSS JOIN UNNEST(event_keys) AS event_key
), last_mentions AS (
    SELECT account, carrier_code, tracking_number, event_key, next_changed_at AS superseded_at,
           ROW_NUMBER() OVER (PARTITION BY account, carrier_code, tracking_number, event_key ORDER BY changed_at DESC) AS recency
    FROM mentions
)
SELECT e.account,
       e.carrier_code,
       e.tracking_number,
       e.event_key,
       e.event_time_local,
       e.status,
       e.substatus,
       e.place,
       e.description,
       e.first_seen_at,
       l.superseded_at
FROM versions e
LEFT JOIN last_mentions l ON l.account = e.account AND l.carrier_code = e.carrier_code
    AND l.tracking_number = e.tracking_number AND l.event_key = e.event_key AND l.recency = 1
WHERE e.recency = 1;

CREATE OR REPLACE VIEW tracking_status_changes AS
SELECT DISTINCT account, carrier_code, tracking_number, observed_at, previous_status, status, substatus
FROM status_change_rows;
