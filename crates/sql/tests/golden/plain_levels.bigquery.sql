-- Levels of the factors of score ~ pretest * ses + gender + (1 | school/class)
-- For BigQuery. Run it from its folder, as by: bq query --use_legacy_sql=false < levels.sql; then repeat `tiers sql`.

EXPORT DATA OPTIONS (uri = 'gs://bucket/moments/levels.csv/*.csv', format = 'CSV', header = true, overwrite = true) AS
WITH tiers_given AS (
  SELECT
    CAST(`score` AS FLOAT64) AS r_0,
    CAST(`pretest` AS FLOAT64) AS r_1,
    CAST(`ses` AS FLOAT64) AS r_2,
    `gender` AS r_3,
    `school` AS r_4,
    `class` AS r_5
  FROM students
),
tiers_present AS (
  SELECT tiers_given.*,
    CASE WHEN r_0 IS NOT NULL AND NOT IS_NAN(r_0)
      AND r_1 IS NOT NULL AND NOT IS_NAN(r_1)
      AND r_2 IS NOT NULL AND NOT IS_NAN(r_2)
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
SELECT DISTINCT 'gender' AS `factor`, CAST(r_3 AS STRING) AS `level` FROM tiers_complete WHERE complete = 1;
