-- DuckDB: needs your table promised_dates, with order_id and promised_at.
CREATE OR REPLACE VIEW on_time AS
WITH t AS (
    SELECT account, carrier_code, tracking_number, order_id, status, first_attempt_at_local, delivered_at_local,
           MAX(last_seen_at) OVER (PARTITION BY account) AS as_of
    FROM trackings
)
SELECT t.account, t.carrier_code, t.tracking_number, t.order_id, t.status, p.promised_at,
       t.first_attempt_at_local, t.delivered_at_local,
       CASE WHEN CAST(t.first_attempt_at_local AS DATE) <= CAST(p.promised_at AS DATE) THEN 'on time' WHEN CAST(t.first_attempt_at_local AS DATE) > CAST(p.promised_at AS DATE) THEN 'late'
            WHEN t.status = 'delivered' THEN 'unknown'
            WHEN CAST((t.as_of AT TIME ZONE 'UTC') AS DATE) > CAST(p.promised_at AS DATE) THEN 'late' ELSE 'open' END AS first_attempt,
       CASE WHEN CAST(t.delivered_at_local AS DATE) <= CAST(p.promised_at AS DATE) THEN 'on time' WHEN CAST(t.delivered_at_local AS DATE) > CAST(p.promised_at AS DATE) THEN 'late'
            WHEN t.status = 'delivered' THEN 'unknown'
            WHEN CAST((t.as_of AT TIME ZONE 'UTC') AS DATE) > CAST(p.promised_at AS DATE) THEN 'late' ELSE 'open' END AS delivery
FROM t
JOIN promised_dates p ON CAST(p.order_id AS VARCHAR) = t.order_id;
