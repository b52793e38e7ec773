-- Levels of the factors of log(score) ~ I(`pre "test"`^2) + ses * minority + factor(k) + factor(r) + flag + sqrt(abs(ses)) + I(day/7) + offset(log1p(e)) + (1 + ses | school/`the class`) + (0 + flag | school)
-- For Snowflake. Run it from its folder, as by: snow sql -f levels.sql; then repeat `tiers sql`.

COPY INTO @stage/moments/levels.csv/ FROM (
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
)
SELECT DISTINCT 'minority' AS "factor", CAST(r_3 AS VARCHAR) AS "level" FROM tiers_complete WHERE complete = 1
UNION ALL SELECT DISTINCT 'k' AS "factor", CAST(r_4 AS VARCHAR) AS "level" FROM tiers_complete WHERE complete = 1
UNION ALL SELECT DISTINCT 'r' AS "factor", CAST(r_5 AS VARCHAR) AS "level" FROM tiers_complete WHERE complete = 1
UNION ALL SELECT DISTINCT 'flag' AS "factor", CAST(r_6 AS VARCHAR) AS "level" FROM tiers_complete WHERE complete = 1
) FILE_FORMAT = (TYPE = CSV COMPRESSION = NONE FIELD_OPTIONALLY_ENCLOSED_BY = '"') OVERWRITE = TRUE HEADER = TRUE;
