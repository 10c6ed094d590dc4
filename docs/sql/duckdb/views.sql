-- DuckDB: views over the tables.
CREATE OR REPLACE VIEW shipment_lane_transit AS
WITH durations AS (
    SELECT account, carrier_code, origin_country, destination_country, 'first_attempt' AS clock,
           (DATE_DIFF('second', CAST(first_event_at AS TIMESTAMP), CAST(first_attempt_at_local AS TIMESTAMP)) / 86400.0) AS days
    FROM trackings
    WHERE first_attempt_at_local >= first_event_at
    UNION ALL
    SELECT account, carrier_code, origin_country, destination_country, 'delivery' AS clock,
           (DATE_DIFF('second', CAST(first_event_at AS TIMESTAMP), CAST(delivered_at_local AS TIMESTAMP)) / 86400.0) AS days
    FROM trackings
    WHERE delivered_at_local >= first_event_at
), ranked AS (
    SELECT account, carrier_code, origin_country, destination_country, clock, days,
           ROW_NUMBER() OVER (PARTITION BY account, carrier_code, origin_country, destination_country, clock ORDER BY days) AS value_rank,
           COUNT(*) OVER (PARTITION BY account, carrier_code, origin_country, destination_country, clock) AS value_count
    FROM durations
)
SELECT account, carrier_code, origin_country, destination_country, clock, COUNT(*) AS measured,
       MIN(CASE WHEN value_rank * 100 >= value_count * 10 THEN days END) AS p10_days,
       MIN(CASE WHEN value_rank * 100 >= value_count * 50 THEN days END) AS p50_days,
       MIN(CASE WHEN value_rank * 100 >= value_count * 90 THEN days END) AS p90_days
FROM ranked
GROUP BY account, carrier_code, origin_country, destination_country, clock;

CREATE OR REPLACE VIEW carrier_scorecard AS
WITH trouble AS (
    SELECT account, carrier_code, tracking_number,
           MAX(CASE WHEN status = 'exception' THEN 1 ELSE 0 END) AS had_exception,
           MAX(CASE WHEN status = 'undelivered' THEN 1 ELSE 0 END) AS had_failed_attempt
    FROM tracking_events
    WHERE superseded_at IS NULL AND status IN ('exception', 'undelivered')
    GROUP BY account, carrier_code, tracking_number
), shipments AS (
    SELECT t.account, t.carrier_code, t.status, t.first_event_at, t.delivered_at_local,
           CASE WHEN t.status = 'exception' THEN 1 ELSE COALESCE(e.had_exception, 0) END AS had_exception,
           CASE WHEN t.status = 'undelivered' THEN 1 ELSE COALESCE(e.had_failed_attempt, 0) END AS had_failed_attempt,
           (DATE_DIFF('second', CAST((t.created_at AT TIME ZONE 'UTC') AS TIMESTAMP), CAST(t.first_event_at AS TIMESTAMP)) / 86400.0) AS days_to_first_scan
    FROM trackings t
    LEFT JOIN trouble e ON e.account = t.account AND e.carrier_code = t.carrier_code
        AND e.tracking_number = t.tracking_number
), ranked AS (
    SELECT shipments.*,
           ROW_NUMBER() OVER (PARTITION BY account, carrier_code
               ORDER BY CASE WHEN days_to_first_scan IS NULL THEN 1 ELSE 0 END, days_to_first_scan) AS value_rank,
           COUNT(days_to_first_scan) OVER (PARTITION BY account, carrier_code) AS value_count
    FROM shipments
)
SELECT account, carrier_code,
       COUNT(*) AS shipments,
       SUM(CASE WHEN status = 'delivered' THEN 1 ELSE 0 END) AS delivered,
       SUM(CASE WHEN status = 'delivered' THEN 1.0 ELSE 0.0 END) / COUNT(*) AS delivered_rate,
       SUM(CASE WHEN had_exception = 1 THEN 1.0 ELSE 0.0 END) / COUNT(*) AS exception_rate,
       SUM(CASE WHEN had_failed_attempt = 1 THEN 1.0 ELSE 0.0 END) / COUNT(*) AS failed_attempt_rate,
       SUM(CASE WHEN status = 'expired' THEN 1.0 ELSE 0.0 END) / COUNT(*) AS expired_rate,
       COUNT(days_to_first_scan) AS scanned,
       MIN(CASE WHEN value_rank * 100 >= value_count * 50 THEN days_to_first_scan END) AS p50_days_registration_to_first_scan,
       MIN(CASE WHEN value_rank * 100 >= value_count * 90 THEN days_to_first_scan END) AS p90_days_registration_to_first_scan,
       SUM(CASE WHEN status = 'delivered' AND delivered_at_local >= first_event_at THEN 1.0 ELSE 0.0 END) / NULLIF(SUM(CASE WHEN status = 'delivered' THEN 1 ELSE 0 END), 0) AS measurable_share
FROM ranked
GROUP BY account, carrier_code;

CREATE OR REPLACE VIEW stuck_shipments AS
WITH dated AS (
    SELECT account, carrier_code, tracking_number, order_id, status, substatus, created_at, last_event_at,
           missing_since, MAX(last_seen_at) OVER (PARTITION BY account) AS as_of
    FROM trackings
)
SELECT account, carrier_code, tracking_number, order_id, status, substatus, created_at, last_event_at, as_of,
       (DATE_DIFF('second', CAST(COALESCE(last_event_at, (created_at AT TIME ZONE 'UTC')) AS TIMESTAMP), CAST((as_of AT TIME ZONE 'UTC') AS TIMESTAMP)) / 86400.0) AS days_without_event
FROM dated
WHERE status NOT IN ('delivered', 'expired') AND missing_since IS NULL AND (DATE_DIFF('second', CAST(COALESCE(last_event_at, (created_at AT TIME ZONE 'UTC')) AS TIMESTAMP), CAST((as_of AT TIME ZONE 'UTC') AS TIMESTAMP)) / 86400.0) >= 7;
