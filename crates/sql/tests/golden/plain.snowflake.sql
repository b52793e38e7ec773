-- Moments of score ~ pretest * ses + gender + (1 | school/class)
-- For Snowflake. Run it from its folder, as by: snow sql -f moments.sql; then `tiers fit --moments` of that folder.

COPY INTO @stage/moments/cells.parquet/ FROM (
WITH tiers_given AS (
  SELECT
    CAST("score" AS DOUBLE) AS r_0,
    CAST("pretest" AS DOUBLE) AS r_1,
    CAST("ses" AS DOUBLE) AS r_2,
    "gender" AS r_3,
    "school" AS r_4,
    "class" AS r_5
  FROM students
),
tiers_present AS (
  SELECT tiers_given.*,
    CASE WHEN r_0 IS NOT NULL AND r_0 <> CAST('NaN' AS DOUBLE)
      AND r_1 IS NOT NULL AND r_1 <> CAST('NaN' AS DOUBLE)
      AND r_2 IS NOT NULL AND r_2 <> CAST('NaN' AS DOUBLE)
      AND r_3 IS NOT NULL
      AND r_4 IS NOT NULL
      AND r_5 IS NOT NULL
      THEN 1 ELSE 0 END AS present
  FROM tiers_given
),
tiers_computed AS (
  SELECT tiers_present.*
  FROM tiers_present
),
tiers_complete AS (
  SELECT tiers_computed.*,
    CASE WHEN present = 1
      THEN 1 ELSE 0 END AS complete
  FROM tiers_computed
),
tiers_used AS (
  SELECT tiers_complete.*,
    CASE WHEN complete = 1
      AND r_3 IN ('F', 'M')
      THEN 1 ELSE 0 END AS used
  FROM tiers_complete
),
tiers_columns AS (
  SELECT tiers_used.*,
    CASE WHEN used = 1 THEN CAST(1e0 AS DOUBLE) END AS c_0,
    CASE WHEN used = 1 THEN (r_1) - CAST(-5.05e1 AS DOUBLE) END AS c_1,
    CASE WHEN used = 1 THEN r_2 END AS c_2,
    CASE WHEN used = 1 THEN CASE WHEN r_3 = 'M' THEN CAST(1e0 AS DOUBLE) ELSE CAST(0e0 AS DOUBLE) END END AS c_3,
    CASE WHEN used = 1 THEN (r_1 * r_2) - CAST(1.2e2 AS DOUBLE) END AS c_4,
    CASE WHEN used = 1 THEN (r_0) - CAST(5e2 AS DOUBLE) END AS c_5
  FROM tiers_used
)
SELECT
  r_4 AS "key_0",
  r_5 AS "key_1",
  count(*) AS "rows",
  sum(c_0) AS "s_0_0",
  sum(c_1) AS "s_0_1",
  sum(c_2) AS "s_0_2",
  sum(c_3) AS "s_0_3",
  sum(c_4) AS "s_0_4",
  sum(c_5) AS "s_0_5"
FROM tiers_columns
WHERE used = 1
GROUP BY r_4, r_5
) FILE_FORMAT = (TYPE = PARQUET) OVERWRITE = TRUE HEADER = TRUE;

COPY INTO @stage/moments/totals.parquet/ FROM (
WITH tiers_given AS (
  SELECT
    CAST("score" AS DOUBLE) AS r_0,
    CAST("pretest" AS DOUBLE) AS r_1,
    CAST("ses" AS DOUBLE) AS r_2,
    "gender" AS r_3,
    "school" AS r_4,
    "class" AS r_5
  FROM students
),
tiers_present AS (
  SELECT tiers_given.*,
    CASE WHEN r_0 IS NOT NULL AND r_0 <> CAST('NaN' AS DOUBLE)
      AND r_1 IS NOT NULL AND r_1 <> CAST('NaN' AS DOUBLE)
      AND r_2 IS NOT NULL AND r_2 <> CAST('NaN' AS DOUBLE)
      AND r_3 IS NOT NULL
      AND r_4 IS NOT NULL
      AND r_5 IS NOT NULL
      THEN 1 ELSE 0 END AS present
  FROM tiers_given
),
tiers_computed AS (
  SELECT tiers_present.*
  FROM tiers_present
),
tiers_complete AS (
  SELECT tiers_computed.*,
    CASE WHEN present = 1
      THEN 1 ELSE 0 END AS complete
  FROM tiers_computed
),
tiers_used AS (
  SELECT tiers_complete.*,
    CASE WHEN complete = 1
      AND r_3 IN ('F', 'M')
      THEN 1 ELSE 0 END AS used
  FROM tiers_complete
),
tiers_columns AS (
  SELECT tiers_used.*,
    CASE WHEN used = 1 THEN CAST(1e0 AS DOUBLE) END AS c_0,
    CASE WHEN used = 1 THEN (r_1) - CAST(-5.05e1 AS DOUBLE) END AS c_1,
    CASE WHEN used = 1 THEN r_2 END AS c_2,
    CASE WHEN used = 1 THEN CASE WHEN r_3 = 'M' THEN CAST(1e0 AS DOUBLE) ELSE CAST(0e0 AS DOUBLE) END END AS c_3,
    CASE WHEN used = 1 THEN (r_1 * r_2) - CAST(1.2e2 AS DOUBLE) END AS c_4,
    CASE WHEN used = 1 THEN (r_0) - CAST(5e2 AS DOUBLE) END AS c_5
  FROM tiers_used
)
SELECT
  sum(CASE WHEN used = 1 THEN 1 ELSE 0 END) AS "rows",
  sum(CASE WHEN complete = 0 THEN 1 ELSE 0 END) AS "dropped_rows",
  sum(c_0) AS "s_0_0",
  sum(c_1) AS "s_0_1",
  sum(c_2) AS "s_0_2",
  sum(c_3) AS "s_0_3",
  sum(c_4) AS "s_0_4",
  sum(c_5) AS "s_0_5",
  sum(c_1 * c_1) AS "s_1_1",
  sum(c_1 * c_2) AS "s_1_2",
  sum(c_1 * c_3) AS "s_1_3",
  sum(c_1 * c_4) AS "s_1_4",
  sum(c_1 * c_5) AS "s_1_5",
  sum(c_2 * c_2) AS "s_2_2",
  sum(c_2 * c_3) AS "s_2_3",
  sum(c_2 * c_4) AS "s_2_4",
  sum(c_2 * c_5) AS "s_2_5",
  sum(c_3 * c_3) AS "s_3_3",
  sum(c_3 * c_4) AS "s_3_4",
  sum(c_3 * c_5) AS "s_3_5",
  sum(c_4 * c_4) AS "s_4_4",
  sum(c_4 * c_5) AS "s_4_5",
  sum(c_5 * c_5) AS "s_5_5",
  count(c_0) AS "n_0",
  count(c_1) AS "n_1",
  count(c_2) AS "n_2",
  count(c_3) AS "n_3",
  count(c_4) AS "n_4",
  count(c_5) AS "n_5",
  sum(CASE WHEN CASE WHEN r_0 IS NOT NULL AND r_0 <> CAST('NaN' AS DOUBLE) THEN 0 ELSE 1 END = 1 THEN 1 ELSE 0 END) AS "missing_0",
  sum(CASE WHEN CASE WHEN r_1 IS NOT NULL AND r_1 <> CAST('NaN' AS DOUBLE) THEN 0 ELSE 1 END = 1 THEN 1 ELSE 0 END) AS "missing_1",
  sum(CASE WHEN CASE WHEN r_2 IS NOT NULL AND r_2 <> CAST('NaN' AS DOUBLE) THEN 0 ELSE 1 END = 1 THEN 1 ELSE 0 END) AS "missing_2",
  sum(CASE WHEN CASE WHEN r_3 IS NOT NULL THEN 0 ELSE 1 END = 1 THEN 1 ELSE 0 END) AS "missing_3",
  sum(CASE WHEN CASE WHEN r_4 IS NOT NULL THEN 0 ELSE 1 END = 1 THEN 1 ELSE 0 END) AS "missing_4",
  sum(CASE WHEN CASE WHEN r_5 IS NOT NULL THEN 0 ELSE 1 END = 1 THEN 1 ELSE 0 END) AS "missing_5",
  sum(CASE WHEN complete = 1 AND NOT (r_3 IN ('F', 'M')) THEN 1 ELSE 0 END) AS "unlisted_3"
FROM tiers_columns
) FILE_FORMAT = (TYPE = PARQUET) OVERWRITE = TRUE HEADER = TRUE;
