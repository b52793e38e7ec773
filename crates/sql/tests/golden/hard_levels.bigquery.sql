-- Levels of the factors of log(score) ~ I(`pre "test"`^2) + ses * minority + factor(k) + factor(r) + flag + sqrt(abs(ses)) + I(day/7) + offset(log1p(e)) + (1 + ses | school/`the class`) + (0 + flag | school)
-- For BigQuery. Run it from its folder, as by: bq query --use_legacy_sql=false < levels.sql; then repeat `tiers sql`.

EXPORT DATA OPTIONS (uri = 'gs://bucket/moments/levels.csv/*.csv', format = 'CSV', header = true, overwrite = true) AS
WITH tiers_given AS (
  SELECT
    CAST(`score` AS FLOAT64) AS r_0,
    CAST(`pre "test"` AS FLOAT64) AS r_1,
    CAST(`ses` AS FLOAT64) AS r_2,
    `minority` AS r_3,
    `k` AS r_4,
    `r` AS r_5,
    CASE WHEN `flag` THEN 'TRUE' WHEN NOT `flag` THEN 'FALSE' END AS r_6,
    CAST(DATE_DIFF(`day`, DATE '1970-01-01', DAY) AS FLOAT64) AS r_7,
    CAST(`e` AS FLOAT64) AS r_8,
    `school` AS r_9,
    CAST(`the class` AS STRING) AS r_10,
    CAST(`weight \`w\`` AS FLOAT64) AS r_11
  FROM (SELECT * FROM school.students) AS tiers_table
  WHERE (
  year = 2024 -- only one
  )
),
tiers_present AS (
  SELECT tiers_given.*,
    CASE WHEN r_0 IS NOT NULL AND NOT IS_NAN(r_0)
      AND r_1 IS NOT NULL AND NOT IS_NAN(r_1)
      AND r_2 IS NOT NULL AND NOT IS_NAN(r_2)
      AND r_3 IS NOT NULL
      AND r_4 IS NOT NULL
      AND CAST(r_5 AS FLOAT64) IS NOT NULL AND NOT IS_NAN(CAST(r_5 AS FLOAT64))
      AND r_6 IS NOT NULL
      AND r_7 IS NOT NULL AND NOT IS_NAN(r_7)
      AND r_8 IS NOT NULL AND NOT IS_NAN(r_8)
      AND CAST(r_9 AS FLOAT64) IS NOT NULL AND NOT IS_NAN(CAST(r_9 AS FLOAT64))
      AND r_10 IS NOT NULL
      THEN 1 ELSE 0 END AS present
  FROM tiers_given
),
tiers_computed AS (
  SELECT tiers_present.*,
    CASE WHEN present = 1 THEN (r_1 * r_1) END AS e_0,
    CASE WHEN present = 1 THEN (CASE WHEN abs(r_2) >= 0e0 THEN sqrt(abs(r_2)) END) END AS e_1,
    CASE WHEN present = 1 THEN (CASE WHEN 7e0 <> 0e0 THEN r_7 / 7e0 WHEN r_7 <> 0e0 THEN CAST('inf' AS FLOAT64) END) END AS e_2,
    CASE WHEN present = 1 THEN (CASE WHEN r_0 > 0e0 THEN ln(r_0) WHEN r_0 = 0e0 THEN - CAST('inf' AS FLOAT64) END) END AS e_3,
    CASE WHEN present = 1 THEN (CASE WHEN r_8 > - 1e0 THEN (CASE WHEN (1e0 + r_8) = 1e0 THEN r_8 ELSE ln((1e0 + r_8)) * (r_8 / ((1e0 + r_8) - 1e0)) END) WHEN r_8 = - 1e0 THEN - CAST('inf' AS FLOAT64) END) END AS e_4
  FROM tiers_present
),
tiers_complete AS (
  SELECT tiers_computed.*,
    CASE WHEN present = 1
      AND e_0 IS NOT NULL AND NOT IS_NAN(e_0)
      AND e_1 IS NOT NULL AND NOT IS_NAN(e_1)
      AND e_2 IS NOT NULL AND NOT IS_NAN(e_2)
      AND e_3 IS NOT NULL AND NOT IS_NAN(e_3)
      AND e_4 IS NOT NULL AND NOT IS_NAN(e_4)
      THEN 1 ELSE 0 END AS complete
  FROM tiers_computed
)
SELECT DISTINCT 'minority' AS `factor`, CAST(r_3 AS STRING) AS `level` FROM tiers_complete WHERE complete = 1
UNION ALL SELECT DISTINCT 'k' AS `factor`, CAST(r_4 AS STRING) AS `level` FROM tiers_complete WHERE complete = 1
UNION ALL SELECT DISTINCT 'r' AS `factor`, CAST(r_5 AS STRING) AS `level` FROM tiers_complete WHERE complete = 1
UNION ALL SELECT DISTINCT 'flag' AS `factor`, CAST(r_6 AS STRING) AS `level` FROM tiers_complete WHERE complete = 1;
