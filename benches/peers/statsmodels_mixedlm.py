"""Fits a parquet file with statsmodels' MixedLM by REML. Prints one line of JSON.

    python statsmodels_mixedlm.py A|B FILE

Schools are the groups, and classes a variance component within them: this is how MixedLM expresses
nested levels.
"""

import json
import sys
import time

import pyarrow.parquet as pq
import statsmodels.formula.api as smf

FIXED = "score ~ pretest + ses + female + C(minority) + treat + class_size"

model, file = sys.argv[1:]
start = time.perf_counter()
rows = pq.read_table(file).to_pandas().rename(columns={"class": "classroom"})
read = time.perf_counter()
fit = smf.mixedlm(
    FIXED,
    rows,
    groups="school",
    re_formula="1 + pretest" if model == "B" else "1",
    vc_formula={"classroom": "0 + C(classroom)"},
).fit(reml=True)
end = time.perf_counter()
result = {"criterion": -2 * fit.llf, "converged": bool(fit.converged), "read_seconds": read - start, "fit_seconds": end - read}
print(json.dumps(result))
