-- Moments of log(score) ~ I(`pre "test"`^2) + ses * minority + factor(k) + factor(r) + flag + sqrt(abs(ses)) + I(day/7) + offset(log1p(e)) + (1 + ses | school/`the class`) + (0 + flag | school)
-- For Snowflake. Run it from its folder, as by: snow sql -f moments.sql; then `tiers fit --moments` of that folder.

COPY INTO @stage/moments/cells.parquet/ FROM (
WITH tiers_given AS (
  SELECT
    CAST("score" AS DOUBLE) AS r_0,
    CAST("pre ""test""" AS DOUBLE) AS r_1,
    CAST("ses" AS DOUBLE) AS r_2,
    "minority" AS r_3,
    "k" AS r_4,
    "r" AS r_5,
    CASE WHEN "flag" THEN 'TRUE' WHEN NOT "flag" THEN 'FALSE' END AS r_6,
    CAST(DATEDIFF('day', DATE '1970-01-01', "day") AS DOUBLE) AS r_7,
    CAST("e" AS DOUBLE) AS r_8,
    "school" AS r_9,
    CAST("the class" AS VARCHAR) AS r_10,
    CAST("weight `w`" AS DOUBLE) AS r_11
  FROM (SELECT * FROM school.students) AS tiers_table
  WHERE (
  year = 2024 -- only one
  )
),
tiers_present AS (
  SELECT tiers_given.*,
    CASE WHEN r_0 IS NOT NULL AND r_0 <> CAST('NaN' AS DOUBLE)
      AND r_1 IS NOT NULL AND r_1 <> CAST('NaN' AS DOUBLE)
      AND r_2 IS NOT NULL AND r_2 <> CAST('NaN' AS DOUBLE)
      AND r_3 IS NOT NULL
      AND r_4 IS NOT NULL
      AND CAST(r_5 AS DOUBLE) IS NOT NULL AND CAST(r_5 AS DOUBLE) <> CAST('NaN' AS DOUBLE)
      AND r_6 IS NOT NULL
      AND r_7 IS NOT NULL AND r_7 <> CAST('NaN' AS DOUBLE)
      AND r_8 IS NOT NULL AND r_8 <> CAST('NaN' AS DOUBLE)
      AND CAST(r_9 AS DOUBLE) IS NOT NULL AND CAST(r_9 AS DOUBLE) <> CAST('NaN' AS DOUBLE)
      AND r_10 IS NOT NULL
      THEN 1 ELSE 0 END AS present
  FROM tiers_given
),
tiers_computed AS (
  SELECT tiers_present.*,
    CASE WHEN present = 1 THEN (r_1 * r_1) END AS e_0,
    CASE WHEN present = 1 THEN (CASE WHEN abs(r_2) >= CAST(0e0 AS DOUBLE) THEN sqrt(abs(r_2)) END) END AS e_1,
    CASE WHEN present = 1 THEN (CASE WHEN CAST(7e0 AS DOUBLE) <> CAST(0e0 AS DOUBLE) THEN r_7 / CAST(7e0 AS DOUBLE) WHEN r_7 <> CAST(0e0 AS DOUBLE) THEN CAST('inf' AS DOUBLE) END) END AS e_2,
    CASE WHEN present = 1 THEN (CASE WHEN r_0 > CAST(0e0 AS DOUBLE) THEN ln(r_0) WHEN r_0 = CAST(0e0 AS DOUBLE) THEN - CAST('inf' AS DOUBLE) END) END AS e_3,
    CASE WHEN present = 1 THEN (CASE WHEN r_8 > - CAST(1e0 AS DOUBLE) THEN (CASE WHEN (CAST(1e0 AS DOUBLE) + r_8) = CAST(1e0 AS DOUBLE) THEN r_8 ELSE ln((CAST(1e0 AS DOUBLE) + r_8)) * (r_8 / ((CAST(1e0 AS DOUBLE) + r_8) - CAST(1e0 AS DOUBLE))) END) WHEN r_8 = - CAST(1e0 AS DOUBLE) THEN - CAST('inf' AS DOUBLE) END) END AS e_4
  FROM tiers_present
),
tiers_complete AS (
  SELECT tiers_computed.*,
    CASE WHEN present = 1
      AND e_0 IS NOT NULL AND e_0 <> CAST('NaN' AS DOUBLE)
      AND e_1 IS NOT NULL AND e_1 <> CAST('NaN' AS DOUBLE)
      AND e_2 IS NOT NULL AND e_2 <> CAST('NaN' AS DOUBLE)
      AND e_3 IS NOT NULL AND e_3 <> CAST('NaN' AS DOUBLE)
      AND e_4 IS NOT NULL AND e_4 <> CAST('NaN' AS DOUBLE)
      THEN 1 ELSE 0 END AS complete
  FROM tiers_computed
),
tiers_used AS (
  SELECT tiers_complete.*,
    CASE WHEN complete = 1
      AND r_3 IN ('A', 'B''x', 'C\\')
      AND r_4 IN (-1, 2)
      AND CAST(r_5 AS DOUBLE) IN (CAST(5e-1 AS DOUBLE), CAST(1e0 AS DOUBLE))
      AND r_6 IN ('FALSE', 'TRUE')
      THEN 1 ELSE 0 END AS used
  FROM tiers_complete
),
tiers_columns AS (
  SELECT tiers_used.*,
    CASE WHEN used = 1 THEN CAST(1e0 AS DOUBLE) END AS c_0,
    CASE WHEN used = 1 THEN e_0 END AS c_1,
    CASE WHEN used = 1 THEN (r_2) - CAST(2.5e-1 AS DOUBLE) END AS c_2,
    CASE WHEN used = 1 THEN CASE WHEN r_3 = 'B''x' THEN CAST(1e0 AS DOUBLE) ELSE CAST(0e0 AS DOUBLE) END END AS c_3,
    CASE WHEN used = 1 THEN CASE WHEN r_3 = 'C\\' THEN CAST(1e0 AS DOUBLE) ELSE CAST(0e0 AS DOUBLE) END END AS c_4,
    CASE WHEN used = 1 THEN CASE WHEN r_4 = 2 THEN CAST(1e0 AS DOUBLE) ELSE CAST(0e0 AS DOUBLE) END END AS c_5,
    CASE WHEN used = 1 THEN CASE WHEN CAST(r_5 AS DOUBLE) = CAST(1e0 AS DOUBLE) THEN CAST(1e0 AS DOUBLE) ELSE CAST(0e0 AS DOUBLE) END END AS c_6,
    CASE WHEN used = 1 THEN CASE WHEN r_6 = 'TRUE' THEN CAST(1e0 AS DOUBLE) ELSE CAST(0e0 AS DOUBLE) END END AS c_7,
    CASE WHEN used = 1 THEN e_1 END AS c_8,
    CASE WHEN used = 1 THEN e_2 END AS c_9,
    CASE WHEN used = 1 THEN CASE WHEN r_3 = 'B''x' THEN r_2 ELSE CAST(0e0 AS DOUBLE) END END AS c_10,
    CASE WHEN used = 1 THEN CASE WHEN r_3 = 'C\\' THEN r_2 ELSE CAST(0e0 AS DOUBLE) END END AS c_11,
    CASE WHEN used = 1 THEN CASE WHEN r_6 = 'FALSE' THEN CAST(1e0 AS DOUBLE) ELSE CAST(0e0 AS DOUBLE) END END AS c_12,
    CASE WHEN used = 1 THEN e_3 - e_4 END AS c_13
  FROM tiers_used
)
SELECT
  r_9 AS "key_0",
  r_10 AS "key_1",
  count(*) AS "rows",
  sum(r_11 * c_0) AS "s_0_0",
  sum(r_11 * c_1) AS "s_0_1",
  sum(r_11 * c_2) AS "s_0_2",
  sum(r_11 * c_3) AS "s_0_3",
  sum(r_11 * c_4) AS "s_0_4",
  sum(r_11 * c_5) AS "s_0_5",
  sum(r_11 * c_6) AS "s_0_6",
  sum(r_11 * c_7) AS "s_0_7",
  sum(r_11 * c_8) AS "s_0_8",
  sum(r_11 * c_9) AS "s_0_9",
  sum(r_11 * c_10) AS "s_0_10",
  sum(r_11 * c_11) AS "s_0_11",
  sum(r_11 * c_12) AS "s_0_12",
  sum(r_11 * c_13) AS "s_0_13",
  sum(r_11 * c_1 * c_2) AS "s_1_2",
  sum(r_11 * c_2 * c_2) AS "s_2_2",
  sum(r_11 * c_2 * c_3) AS "s_2_3",
  sum(r_11 * c_2 * c_4) AS "s_2_4",
  sum(r_11 * c_2 * c_5) AS "s_2_5",
  sum(r_11 * c_2 * c_6) AS "s_2_6",
  sum(r_11 * c_2 * c_7) AS "s_2_7",
  sum(r_11 * c_2 * c_8) AS "s_2_8",
  sum(r_11 * c_2 * c_9) AS "s_2_9",
  sum(r_11 * c_2 * c_10) AS "s_2_10",
  sum(r_11 * c_2 * c_11) AS "s_2_11",
  sum(r_11 * c_2 * c_12) AS "s_2_12",
  sum(r_11 * c_2 * c_13) AS "s_2_13",
  sum(r_11 * c_1 * c_7) AS "s_1_7",
  sum(r_11 * c_3 * c_7) AS "s_3_7",
  sum(r_11 * c_4 * c_7) AS "s_4_7",
  sum(r_11 * c_5 * c_7) AS "s_5_7",
  sum(r_11 * c_6 * c_7) AS "s_6_7",
  sum(r_11 * c_7 * c_7) AS "s_7_7",
  sum(r_11 * c_7 * c_8) AS "s_7_8",
  sum(r_11 * c_7 * c_9) AS "s_7_9",
  sum(r_11 * c_7 * c_10) AS "s_7_10",
  sum(r_11 * c_7 * c_11) AS "s_7_11",
  sum(r_11 * c_7 * c_12) AS "s_7_12",
  sum(r_11 * c_7 * c_13) AS "s_7_13",
  sum(r_11 * c_1 * c_12) AS "s_1_12",
  sum(r_11 * c_3 * c_12) AS "s_3_12",
  sum(r_11 * c_4 * c_12) AS "s_4_12",
  sum(r_11 * c_5 * c_12) AS "s_5_12",
  sum(r_11 * c_6 * c_12) AS "s_6_12",
  sum(r_11 * c_8 * c_12) AS "s_8_12",
  sum(r_11 * c_9 * c_12) AS "s_9_12",
  sum(r_11 * c_10 * c_12) AS "s_10_12",
  sum(r_11 * c_11 * c_12) AS "s_11_12",
  sum(r_11 * c_12 * c_12) AS "s_12_12",
  sum(r_11 * c_12 * c_13) AS "s_12_13"
FROM tiers_columns
WHERE used = 1
GROUP BY r_9, r_10
) FILE_FORMAT = (TYPE = PARQUET) OVERWRITE = TRUE HEADER = TRUE;

COPY INTO @stage/moments/totals.parquet/ FROM (
WITH tiers_given AS (
  SELECT
    CAST("score" AS DOUBLE) AS r_0,
    CAST("pre ""test""" AS DOUBLE) AS r_1,
    CAST("ses" AS DOUBLE) AS r_2,
    "minority" AS r_3,
    "k" AS r_4,
    "r" AS r_5,
    CASE WHEN "flag" THEN 'TRUE' WHEN NOT "flag" THEN 'FALSE' END AS r_6,
    CAST(DATEDIFF('day', DATE '1970-01-01', "day") AS DOUBLE) AS r_7,
    CAST("e" AS DOUBLE) AS r_8,
    "school" AS r_9,
    CAST("the class" AS VARCHAR) AS r_10,
    CAST("weight `w`" AS DOUBLE) AS r_11
  FROM (SELECT * FROM school.students) AS tiers_table
  WHERE (
  year = 2024 -- only one
  )
),
tiers_present AS (
  SELECT tiers_given.*,
    CASE WHEN r_0 IS NOT NULL AND r_0 <> CAST('NaN' AS DOUBLE)
      AND r_1 IS NOT NULL AND r_1 <> CAST('NaN' AS DOUBLE)
      AND r_2 IS NOT NULL AND r_2 <> CAST('NaN' AS DOUBLE)
      AND r_3 IS NOT NULL
      AND r_4 IS NOT NULL
      AND CAST(r_5 AS DOUBLE) IS NOT NULL AND CAST(r_5 AS DOUBLE) <> CAST('NaN' AS DOUBLE)
      AND r_6 IS NOT NULL
      AND r_7 IS NOT NULL AND r_7 <> CAST('NaN' AS DOUBLE)
      AND r_8 IS NOT NULL AND r_8 <> CAST('NaN' AS DOUBLE)
      AND CAST(r_9 AS DOUBLE) IS NOT NULL AND CAST(r_9 AS DOUBLE) <> CAST('NaN' AS DOUBLE)
      AND r_10 IS NOT NULL
      THEN 1 ELSE 0 END AS present
  FROM tiers_given
),
tiers_computed AS (
  SELECT tiers_present.*,
    CASE WHEN present = 1 THEN (r_1 * r_1) END AS e_0,
    CASE WHEN present = 1 THEN (CASE WHEN abs(r_2) >= CAST(0e0 AS DOUBLE) THEN sqrt(abs(r_2)) END) END AS e_1,
    CASE WHEN present = 1 THEN (CASE WHEN CAST(7e0 AS DOUBLE) <> CAST(0e0 AS DOUBLE) THEN r_7 / CAST(7e0 AS DOUBLE) WHEN r_7 <> CAST(0e0 AS DOUBLE) THEN CAST('inf' AS DOUBLE) END) END AS e_2,
    CASE WHEN present = 1 THEN (CASE WHEN r_0 > CAST(0e0 AS DOUBLE) THEN ln(r_0) WHEN r_0 = CAST(0e0 AS DOUBLE) THEN - CAST('inf' AS DOUBLE) END) END AS e_3,
    CASE WHEN present = 1 THEN (CASE WHEN r_8 > - CAST(1e0 AS DOUBLE) THEN (CASE WHEN (CAST(1e0 AS DOUBLE) + r_8) = CAST(1e0 AS DOUBLE) THEN r_8 ELSE ln((CAST(1e0 AS DOUBLE) + r_8)) * (r_8 / ((CAST(1e0 AS DOUBLE) + r_8) - CAST(1e0 AS DOUBLE))) END) WHEN r_8 = - CAST(1e0 AS DOUBLE) THEN - CAST('inf' AS DOUBLE) END) END AS e_4
  FROM tiers_present
),
tiers_complete AS (
  SELECT tiers_computed.*,
    CASE WHEN present = 1
      AND e_0 IS NOT NULL AND e_0 <> CAST('NaN' AS DOUBLE)
      AND e_1 IS NOT NULL AND e_1 <> CAST('NaN' AS DOUBLE)
      AND e_2 IS NOT NULL AND e_2 <> CAST('NaN' AS DOUBLE)
      AND e_3 IS NOT NULL AND e_3 <> CAST('NaN' AS DOUBLE)
      AND e_4 IS NOT NULL AND e_4 <> CAST('NaN' AS DOUBLE)
      THEN 1 ELSE 0 END AS complete
  FROM tiers_computed
),
tiers_used AS (
  SELECT tiers_complete.*,
    CASE WHEN complete = 1
      AND r_3 IN ('A', 'B''x', 'C\\')
      AND r_4 IN (-1, 2)
      AND CAST(r_5 AS DOUBLE) IN (CAST(5e-1 AS DOUBLE), CAST(1e0 AS DOUBLE))
      AND r_6 IN ('FALSE', 'TRUE')
      THEN 1 ELSE 0 END AS used
  FROM tiers_complete
),
tiers_columns AS (
  SELECT tiers_used.*,
    CASE WHEN used = 1 THEN CAST(1e0 AS DOUBLE) END AS c_0,
    CASE WHEN used = 1 THEN e_0 END AS c_1,
    CASE WHEN used = 1 THEN (r_2) - CAST(2.5e-1 AS DOUBLE) END AS c_2,
    CASE WHEN used = 1 THEN CASE WHEN r_3 = 'B''x' THEN CAST(1e0 AS DOUBLE) ELSE CAST(0e0 AS DOUBLE) END END AS c_3,
    CASE WHEN used = 1 THEN CASE WHEN r_3 = 'C\\' THEN CAST(1e0 AS DOUBLE) ELSE CAST(0e0 AS DOUBLE) END END AS c_4,
    CASE WHEN used = 1 THEN CASE WHEN r_4 = 2 THEN CAST(1e0 AS DOUBLE) ELSE CAST(0e0 AS DOUBLE) END END AS c_5,
    CASE WHEN used = 1 THEN CASE WHEN CAST(r_5 AS DOUBLE) = CAST(1e0 AS DOUBLE) THEN CAST(1e0 AS DOUBLE) ELSE CAST(0e0 AS DOUBLE) END END AS c_6,
    CASE WHEN used = 1 THEN CASE WHEN r_6 = 'TRUE' THEN CAST(1e0 AS DOUBLE) ELSE CAST(0e0 AS DOUBLE) END END AS c_7,
    CASE WHEN used = 1 THEN e_1 END AS c_8,
    CASE WHEN used = 1 THEN e_2 END AS c_9,
    CASE WHEN used = 1 THEN CASE WHEN r_3 = 'B''x' THEN r_2 ELSE CAST(0e0 AS DOUBLE) END END AS c_10,
    CASE WHEN used = 1 THEN CASE WHEN r_3 = 'C\\' THEN r_2 ELSE CAST(0e0 AS DOUBLE) END END AS c_11,
    CASE WHEN used = 1 THEN CASE WHEN r_6 = 'FALSE' THEN CAST(1e0 AS DOUBLE) ELSE CAST(0e0 AS DOUBLE) END END AS c_12,
    CASE WHEN used = 1 THEN e_3 - e_4 END AS c_13
  FROM tiers_used
)
SELECT
  sum(CASE WHEN used = 1 THEN 1 ELSE 0 END) AS "rows",
  sum(CASE WHEN complete = 0 THEN 1 ELSE 0 END) AS "dropped_rows",
  sum(r_11 * c_0) AS "s_0_0",
  sum(r_11 * c_1) AS "s_0_1",
  sum(r_11 * c_2) AS "s_0_2",
  sum(r_11 * c_3) AS "s_0_3",
  sum(r_11 * c_4) AS "s_0_4",
  sum(r_11 * c_5) AS "s_0_5",
  sum(r_11 * c_6) AS "s_0_6",
  sum(r_11 * c_7) AS "s_0_7",
  sum(r_11 * c_8) AS "s_0_8",
  sum(r_11 * c_9) AS "s_0_9",
  sum(r_11 * c_10) AS "s_0_10",
  sum(r_11 * c_11) AS "s_0_11",
  sum(r_11 * c_12) AS "s_0_12",
  sum(r_11 * c_13) AS "s_0_13",
  sum(r_11 * c_1 * c_1) AS "s_1_1",
  sum(r_11 * c_1 * c_2) AS "s_1_2",
  sum(r_11 * c_1 * c_3) AS "s_1_3",
  sum(r_11 * c_1 * c_4) AS "s_1_4",
  sum(r_11 * c_1 * c_5) AS "s_1_5",
  sum(r_11 * c_1 * c_6) AS "s_1_6",
  sum(r_11 * c_1 * c_7) AS "s_1_7",
  sum(r_11 * c_1 * c_8) AS "s_1_8",
  sum(r_11 * c_1 * c_9) AS "s_1_9",
  sum(r_11 * c_1 * c_10) AS "s_1_10",
  sum(r_11 * c_1 * c_11) AS "s_1_11",
  sum(r_11 * c_1 * c_12) AS "s_1_12",
  sum(r_11 * c_1 * c_13) AS "s_1_13",
  sum(r_11 * c_2 * c_2) AS "s_2_2",
  sum(r_11 * c_2 * c_3) AS "s_2_3",
  sum(r_11 * c_2 * c_4) AS "s_2_4",
  sum(r_11 * c_2 * c_5) AS "s_2_5",
  sum(r_11 * c_2 * c_6) AS "s_2_6",
  sum(r_11 * c_2 * c_7) AS "s_2_7",
  sum(r_11 * c_2 * c_8) AS "s_2_8",
  sum(r_11 * c_2 * c_9) AS "s_2_9",
  sum(r_11 * c_2 * c_10) AS "s_2_10",
  sum(r_11 * c_2 * c_11) AS "s_2_11",
  sum(r_11 * c_2 * c_12) AS "s_2_12",
  sum(r_11 * c_2 * c_13) AS "s_2_13",
  sum(r_11 * c_3 * c_3) AS "s_3_3",
  sum(r_11 * c_3 * c_4) AS "s_3_4",
  sum(r_11 * c_3 * c_5) AS "s_3_5",
  sum(r_11 * c_3 * c_6) AS "s_3_6",
  sum(r_11 * c_3 * c_7) AS "s_3_7",
  sum(r_11 * c_3 * c_8) AS "s_3_8",
  sum(r_11 * c_3 * c_9) AS "s_3_9",
  sum(r_11 * c_3 * c_10) AS "s_3_10",
  sum(r_11 * c_3 * c_11) AS "s_3_11",
  sum(r_11 * c_3 * c_12) AS "s_3_12",
  sum(r_11 * c_3 * c_13) AS "s_3_13",
  sum(r_11 * c_4 * c_4) AS "s_4_4",
  sum(r_11 * c_4 * c_5) AS "s_4_5",
  sum(r_11 * c_4 * c_6) AS "s_4_6",
  sum(r_11 * c_4 * c_7) AS "s_4_7",
  sum(r_11 * c_4 * c_8) AS "s_4_8",
  sum(r_11 * c_4 * c_9) AS "s_4_9",
  sum(r_11 * c_4 * c_10) AS "s_4_10",
  sum(r_11 * c_4 * c_11) AS "s_4_11",
  sum(r_11 * c_4 * c_12) AS "s_4_12",
  sum(r_11 * c_4 * c_13) AS "s_4_13",
  sum(r_11 * c_5 * c_5) AS "s_5_5",
  sum(r_11 * c_5 * c_6) AS "s_5_6",
  sum(r_11 * c_5 * c_7) AS "s_5_7",
  sum(r_11 * c_5 * c_8) AS "s_5_8",
  sum(r_11 * c_5 * c_9) AS "s_5_9",
  sum(r_11 * c_5 * c_10) AS "s_5_10",
  sum(r_11 * c_5 * c_11) AS "s_5_11",
  sum(r_11 * c_5 * c_12) AS "s_5_12",
  sum(r_11 * c_5 * c_13) AS "s_5_13",
  sum(r_11 * c_6 * c_6) AS "s_6_6",
  sum(r_11 * c_6 * c_7) AS "s_6_7",
  sum(r_11 * c_6 * c_8) AS "s_6_8",
  sum(r_11 * c_6 * c_9) AS "s_6_9",
  sum(r_11 * c_6 * c_10) AS "s_6_10",
  sum(r_11 * c_6 * c_11) AS "s_6_11",
  sum(r_11 * c_6 * c_12) AS "s_6_12",
  sum(r_11 * c_6 * c_13) AS "s_6_13",
  sum(r_11 * c_7 * c_7) AS "s_7_7",
  sum(r_11 * c_7 * c_8) AS "s_7_8",
  sum(r_11 * c_7 * c_9) AS "s_7_9",
  sum(r_11 * c_7 * c_10) AS "s_7_10",
  sum(r_11 * c_7 * c_11) AS "s_7_11",
  sum(r_11 * c_7 * c_12) AS "s_7_12",
  sum(r_11 * c_7 * c_13) AS "s_7_13",
  sum(r_11 * c_8 * c_8) AS "s_8_8",
  sum(r_11 * c_8 * c_9) AS "s_8_9",
  sum(r_11 * c_8 * c_10) AS "s_8_10",
  sum(r_11 * c_8 * c_11) AS "s_8_11",
  sum(r_11 * c_8 * c_12) AS "s_8_12",
  sum(r_11 * c_8 * c_13) AS "s_8_13",
  sum(r_11 * c_9 * c_9) AS "s_9_9",
  sum(r_11 * c_9 * c_10) AS "s_9_10",
  sum(r_11 * c_9 * c_11) AS "s_9_11",
  sum(r_11 * c_9 * c_12) AS "s_9_12",
  sum(r_11 * c_9 * c_13) AS "s_9_13",
  sum(r_11 * c_10 * c_10) AS "s_10_10",
  sum(r_11 * c_10 * c_11) AS "s_10_11",
  sum(r_11 * c_10 * c_12) AS "s_10_12",
  sum(r_11 * c_10 * c_13) AS "s_10_13",
  sum(r_11 * c_11 * c_11) AS "s_11_11",
  sum(r_11 * c_11 * c_12) AS "s_11_12",
  sum(r_11 * c_11 * c_13) AS "s_11_13",
  sum(r_11 * c_12 * c_12) AS "s_12_12",
  sum(r_11 * c_12 * c_13) AS "s_12_13",
  sum(r_11 * c_13 * c_13) AS "s_13_13",
  count(c_0) AS "n_0",
  count(c_1) AS "n_1",
  count(c_2) AS "n_2",
  count(c_3) AS "n_3",
  count(c_4) AS "n_4",
  count(c_5) AS "n_5",
  count(c_6) AS "n_6",
  count(c_7) AS "n_7",
  count(c_8) AS "n_8",
  count(c_9) AS "n_9",
  count(c_10) AS "n_10",
  count(c_11) AS "n_11",
  count(c_12) AS "n_12",
  count(c_13) AS "n_13",
  sum(ln(CASE WHEN used = 1 AND r_11 > CAST(0e0 AS DOUBLE) THEN r_11 ELSE CAST(1e0 AS DOUBLE) END)) AS "sum_log_weights",
  sum(CASE WHEN complete = 1 AND CASE WHEN r_11 IS NOT NULL AND r_11 <> CAST('NaN' AS DOUBLE) AND r_11 > CAST(0e0 AS DOUBLE) THEN 0 ELSE 1 END = 1 THEN 1 ELSE 0 END) AS "bad_weights",
  sum(CASE WHEN CASE WHEN r_0 IS NOT NULL AND r_0 <> CAST('NaN' AS DOUBLE) THEN 0 ELSE 1 END = 1 THEN 1 ELSE 0 END) AS "missing_0",
  sum(CASE WHEN CASE WHEN r_1 IS NOT NULL AND r_1 <> CAST('NaN' AS DOUBLE) THEN 0 ELSE 1 END = 1 THEN 1 ELSE 0 END) AS "missing_1",
  sum(CASE WHEN CASE WHEN r_2 IS NOT NULL AND r_2 <> CAST('NaN' AS DOUBLE) THEN 0 ELSE 1 END = 1 THEN 1 ELSE 0 END) AS "missing_2",
  sum(CASE WHEN CASE WHEN r_3 IS NOT NULL THEN 0 ELSE 1 END = 1 THEN 1 ELSE 0 END) AS "missing_3",
  sum(CASE WHEN CASE WHEN r_4 IS NOT NULL THEN 0 ELSE 1 END = 1 THEN 1 ELSE 0 END) AS "missing_4",
  sum(CASE WHEN CASE WHEN CAST(r_5 AS DOUBLE) IS NOT NULL AND CAST(r_5 AS DOUBLE) <> CAST('NaN' AS DOUBLE) THEN 0 ELSE 1 END = 1 THEN 1 ELSE 0 END) AS "missing_5",
  sum(CASE WHEN CASE WHEN r_6 IS NOT NULL THEN 0 ELSE 1 END = 1 THEN 1 ELSE 0 END) AS "missing_6",
  sum(CASE WHEN CASE WHEN r_7 IS NOT NULL AND r_7 <> CAST('NaN' AS DOUBLE) THEN 0 ELSE 1 END = 1 THEN 1 ELSE 0 END) AS "missing_7",
  sum(CASE WHEN CASE WHEN r_8 IS NOT NULL AND r_8 <> CAST('NaN' AS DOUBLE) THEN 0 ELSE 1 END = 1 THEN 1 ELSE 0 END) AS "missing_8",
  sum(CASE WHEN CASE WHEN CAST(r_9 AS DOUBLE) IS NOT NULL AND CAST(r_9 AS DOUBLE) <> CAST('NaN' AS DOUBLE) THEN 0 ELSE 1 END = 1 THEN 1 ELSE 0 END) AS "missing_9",
  sum(CASE WHEN CASE WHEN r_10 IS NOT NULL THEN 0 ELSE 1 END = 1 THEN 1 ELSE 0 END) AS "missing_10",
  sum(CASE WHEN present = 1 AND CASE WHEN e_0 IS NOT NULL AND e_0 <> CAST('NaN' AS DOUBLE) THEN 0 ELSE 1 END = 1 THEN 1 ELSE 0 END) AS "missing_11",
  sum(CASE WHEN present = 1 AND e_0 IS NOT NULL AND e_0 <> CAST('NaN' AS DOUBLE) AND CASE WHEN e_1 IS NOT NULL AND e_1 <> CAST('NaN' AS DOUBLE) THEN 0 ELSE 1 END = 1 THEN 1 ELSE 0 END) AS "missing_12",
  sum(CASE WHEN present = 1 AND e_0 IS NOT NULL AND e_0 <> CAST('NaN' AS DOUBLE) AND e_1 IS NOT NULL AND e_1 <> CAST('NaN' AS DOUBLE) AND CASE WHEN e_2 IS NOT NULL AND e_2 <> CAST('NaN' AS DOUBLE) THEN 0 ELSE 1 END = 1 THEN 1 ELSE 0 END) AS "missing_13",
  sum(CASE WHEN present = 1 AND e_0 IS NOT NULL AND e_0 <> CAST('NaN' AS DOUBLE) AND e_1 IS NOT NULL AND e_1 <> CAST('NaN' AS DOUBLE) AND e_2 IS NOT NULL AND e_2 <> CAST('NaN' AS DOUBLE) AND CASE WHEN e_3 IS NOT NULL AND e_3 <> CAST('NaN' AS DOUBLE) THEN 0 ELSE 1 END = 1 THEN 1 ELSE 0 END) AS "missing_14",
  sum(CASE WHEN present = 1 AND e_0 IS NOT NULL AND e_0 <> CAST('NaN' AS DOUBLE) AND e_1 IS NOT NULL AND e_1 <> CAST('NaN' AS DOUBLE) AND e_2 IS NOT NULL AND e_2 <> CAST('NaN' AS DOUBLE) AND e_3 IS NOT NULL AND e_3 <> CAST('NaN' AS DOUBLE) AND CASE WHEN e_4 IS NOT NULL AND e_4 <> CAST('NaN' AS DOUBLE) THEN 0 ELSE 1 END = 1 THEN 1 ELSE 0 END) AS "missing_15",
  sum(CASE WHEN complete = 1 AND NOT (r_3 IN ('A', 'B''x', 'C\\')) THEN 1 ELSE 0 END) AS "unlisted_3",
  sum(CASE WHEN complete = 1 AND NOT (r_4 IN (-1, 2)) THEN 1 ELSE 0 END) AS "unlisted_4",
  sum(CASE WHEN complete = 1 AND NOT (CAST(r_5 AS DOUBLE) IN (CAST(5e-1 AS DOUBLE), CAST(1e0 AS DOUBLE))) THEN 1 ELSE 0 END) AS "unlisted_5",
  sum(CASE WHEN complete = 1 AND NOT (r_6 IN ('FALSE', 'TRUE')) THEN 1 ELSE 0 END) AS "unlisted_6"
FROM tiers_columns
) FILE_FORMAT = (TYPE = PARQUET) OVERWRITE = TRUE HEADER = TRUE;
