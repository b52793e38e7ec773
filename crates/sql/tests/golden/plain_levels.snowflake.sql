-- Levels of the factors of score ~ pretest * ses + gender + (1 | school/class)
-- For Snowflake. Run it from its folder, as by: snow sql -f levels.sql; then repeat `tiers sql`.

COPY INTO @stage/moments/levels.csv/ FROM (
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
)
SELECT DISTINCT 'gender' AS "factor", CAST(r_3 AS VARCHAR) AS "level" FROM tiers_complete WHERE complete = 1
) FILE_FORMAT = (TYPE = CSV COMPRESSION = NONE FIELD_OPTIONALLY_ENCLOSED_BY = '"') OVERWRITE = TRUE HEADER = TRUE;
