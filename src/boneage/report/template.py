"""The page: its style, its order and its words; what is put into it is escaped."""

import jinja2


def environment() -> jinja2.Environment:
    """What renders the page and its tables: everything put into them is escaped."""
    return jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )


MACROS = """\
{% macro show(picture) %}
<figure><img class="{{ picture.kind }}" src="data:image/png;base64,{{ picture.data }}"
 alt="{{ picture.words }}" width="{{ picture.width }}" height="{{ picture.height }}"></figure>
{% endmacro %}
{% macro table(grid) %}
{% if grid.heads|length > 4 %}
<p class="cue" aria-hidden="true">{{ grid.heads|length }} columns: scroll the table sideways →</p>
{% endif %}
<div class="scroll" role="region" aria-label="{{ grid.label }}" tabindex="0">
<table{% if grid.kind %} class="{{ grid.kind }}"{% endif %}>
<thead><tr>{% for name, unit in grid.heads %}<th scope="col"
{%- if grid.holds_words(loop.index0) %} class="words"{% endif %}>{{ name }}
{%- if unit %} <small>{{ unit }}</small>{% endif %}</th>{% endfor %}</tr></thead>
<tbody>
{% for row in grid.rows %}
<tr{% if row.kind %} class="{{ row.kind }}"{% endif %}><th scope="row">{{ row.cells[0].text }}</th>
{%- for cell in row.cells[1:] -%}
<td{% if cell.kind %} class="{{ cell.kind }}"{% endif %}
{%- if row.kind == "absent" %} colspan="{{ grid.heads|length - 1 }}"{% endif %}>{{ cell.text }}
{%- if cell.below %} <small>{{ cell.below }}</small>{% endif %}</td>
{%- endfor %}</tr>
{% endfor %}
</tbody>
</table>
</div>
{% if grid.note %}
<p class="soft">{{ grid.note }}</p>
{% endif %}
{% endmacro %}
"""

PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="color-scheme" content="light dark">
<title>Bone age: nine networks compared</title>
<style>
:root { --page: #fff; --ink: #1b1f24; --soft: #59636e; --line: #d5dae0; --head: #f3f5f7; --best: #d9f0e6;
  --note: #eef4fb; --note-edge: #0072b2; --warn: #fdf3e1; --warn-edge: #c77700;
  --shade: #1b1f2466; --link: #0b5cad }
@media (prefers-color-scheme: dark) { :root { --page: #15181c; --ink: #e4e7ea; --soft: #a3acb6;
  --line: #363c44; --head: #1f242a; --best: #12463a; --note: #182635; --note-edge: #56b4e9;
  --warn: #33280f; --warn-edge: #e69f00; --shade: #000c; --link: #79b8ff } }
* { box-sizing: border-box }
body { margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 72rem; overflow-wrap: break-word;
  background: var(--page); color: var(--ink);
  font: 1rem/1.55 system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .75rem }
h2 { font-size: 1.3rem; margin: 2.75rem 0 .5rem; padding-top: .75rem; border-top: 1px solid var(--line) }
h3 { font-size: 1.08rem; margin: 1.75rem 0 .5rem }
p, dl, ol { max-width: 46rem; margin: .5rem 0 }
dt { font-weight: 600; margin-top: .5rem }
dd { margin: 0 0 0 1rem }
.note, .warn { padding: .7rem 1rem; border-left: 4px solid var(--note-edge); background: var(--note);
  margin: .9rem 0 }
.warn { border-color: var(--warn-edge); background: var(--warn) }
.soft { color: var(--soft); font-size: .9rem }
.scroll { overflow-x: auto; margin: .6rem 0 .3rem; border: 1px solid var(--line); border-radius: 6px;
  /* A shadow at the edge beyond which there is more. */
  background: linear-gradient(to left, var(--page) 30%, transparent) right / 3rem 100% no-repeat local,
    linear-gradient(to left, var(--shade), transparent) right / 1rem 100% no-repeat scroll }
.scroll:focus-visible { outline: 2px solid var(--note-edge) }
table { border-collapse: separate; border-spacing: 0; width: 100%; font-size: .94rem;
  font-variant-numeric: tabular-nums }
th, td { padding: .4rem .65rem; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line) }
tbody tr:last-child > * { border-bottom: 0 }
thead th { background: var(--head); vertical-align: bottom; line-height: 1.25; white-space: normal }
th small, td small { display: block; font-weight: 400; color: var(--soft) }
td small { font-size: .86em; line-height: 1.25 }
th:first-child { text-align: left; position: sticky; left: 0; background: var(--page) }
thead th:first-child { background: var(--head) }
tbody th { font-weight: 600 }
.even thead th { width: 13% }
.absent > * { color: var(--soft); font-weight: 400 }
.absent td { text-align: left; font-style: italic }
tr.constant > * { background: var(--head); border-top: 2px solid var(--line); font-style: italic }
td.best { background: var(--best); font-weight: 700 }
.words > * { white-space: normal; text-align: left; vertical-align: top; overflow-wrap: anywhere }
.words td { min-width: 14rem }
.words th { min-width: 6rem }
.left thead th { text-align: left }
td.few, td.few small { color: var(--soft); background: var(--head) }
td.few { font-style: italic }
td.real { font-weight: 700 }
td.words { white-space: normal; text-align: left; min-width: 7rem; line-height: 1.35 }
th.words { text-align: left }
.named tbody th { white-space: normal; min-width: 9rem; line-height: 1.35 }
.named td { vertical-align: top }
.named tbody th { vertical-align: top }
details > .scroll { margin-top: .8rem }
.figures { display: grid; gap: 1rem; margin: .8rem 0;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 27rem), 1fr)) }
figure { margin: 0 }
img { max-width: 100%; height: auto; border-radius: 6px; display: block }
/* Charts are drawn in dark ink on nothing: in the dark the ink is turned, and hues stay what they were. */
@media (prefers-color-scheme: dark) { img.chart { filter: invert(.92) hue-rotate(180deg) } }
.result { font-size: 1.15rem; margin: .25rem 0 .9rem }
.result strong { font-size: 1.9rem; line-height: 1.1; margin-right: .3rem; white-space: nowrap }
nav ul { list-style: none; margin: .25rem 0; padding: 0; display: flex; flex-wrap: wrap; gap: .3rem 1.1rem }
nav { margin: .9rem 0 }
a { color: var(--link) }
.cue { display: none; color: var(--soft); font-size: .85rem; margin: .6rem 0 0 }
details { border: 1px solid var(--line); border-radius: 6px; padding: .5rem .9rem; margin: .6rem 0 }
summary { cursor: pointer; font-weight: 600; padding: .25rem 0 }
code, pre { font: .88rem/1.5 ui-monospace, Menlo, Consolas, monospace }
pre { background: var(--head); border-radius: 6px; padding: .7rem 1rem; overflow-x: auto }
@media (max-width: 40rem) { body { padding-top: .8rem } .cue { display: block }
  table { font-size: .86rem } th, td { padding: .35rem .45rem }
  tbody th { white-space: normal; min-width: 6rem } .named tbody th { min-width: 8rem }
  td.words { min-width: 6.5rem } details { padding: .5rem } }
</style>
</head>
<body>
{% set contents = [] %}
{% macro section(title) %}
{{ contents.append(title) or "" }}<h2 id="{{ title|lower|replace(" ", "-") }}">{{ title }}</h2>
{% endmacro %}
{% set sections %}
{{ section("Results") }}
{% for grid in results %}
<h3>{{ grid.label }}</h3>
{{ table(grid) }}
{% endfor %}

<h3>How to read them</h3>
<dl>
<dt>MAE</dt>
<dd>Mean absolute error, in years: how far an estimate is off on average. One year is 12 months.</dd>
<dt>Loss</dt>
<dd>Mean squared error, in years squared: what the training makes small. A few large errors weigh more than
many small ones.</dd>
<dt>Accuracy</dt>
<dd>Share of the cases, from 0 to 1, whose estimate is less than half a year off: it rounds to the right
whole year.</dd>
<dt>With and without “Validation”</dt>
<dd>Validation cases are those that the network was not trained on; the other columns are of the images that
it was, changed copies included. Where the latter look much better, it learnt its training cases by heart.
All are measured with the finished network, after the last epoch.</dd>
<dt>Constant predictor</dt>
<dd>Always says the median age of the training cases, whatever the photo. A network that is no better has
learnt nothing.</dd>
</dl>

{% if test.rows and runs %}
{{ section("Test cases") }}
<p>Untouched by training and by every choice before it; each was estimated once, after the last epoch. The
95 % interval comes from a bootstrap over the cases: it says how much the MAE depends on which cases were
tested, not how much it would change were the network trained again.</p>
{% if bars %}
<div class="figures">{{ show(bars) }}</div>
{% endif %}
{{ table(test) }}

<h3>What others have measured</h3>
<p>Two radiologists who read the same hand differ, so even a perfect estimate would not show an error of zero
against them. The systems below were published by others.</p>
{{ table(references) }}
<ol class="soft">
{% for source in sources %}
<li>{{ source }}</li>
{% endfor %}
</ol>
{% endif %}

{% if differences %}
{{ section("Which differences are real") }}
<p>Two networks are tested on the same cases, so they are compared case by case: which of the two is nearer
to the truth, and by how much. Drawing the cases again at random 10,000 times (the paired bootstrap) shows how
far that difference hangs on which cases were tested. Among many pairs some would seem to differ by chance, so
the p-values are corrected for their number after Holm (1979); a difference is called real where the corrected
p is below 0.05. This says nothing of another training: with another seed, networks may change places.</p>
<p>{% for part in differences %}{{ part.words }} differences are real. {% endfor %}</p>
<div class="figures">{% for part in differences %}{{ show(part.picture) }}{% endfor %}</div>
{% for part in differences %}
<details><summary>{{ part.grid.label }}</summary>
{{ table(part.grid) }}
</details>
{% endfor %}
{% endif %}

{% if seeds.rows %}
<h3>Trained again with other seeds</h3>
<p>The same network, photos and epochs; other first weights, and photos in another order. A difference between
two networks that is no larger than that between two trainings of one says nothing about the networks.</p>
{{ table(seeds) }}
{% endif %}

{% if variants.rows %}
{{ section("Variants") }}
<p>What the two tables leave out, each against the plain run with the same network and as many epochs, on the
same test cases. The best three networks for the mean are chosen by their validation error; the mean stands
against the best of them.</p>
{{ table(variants) }}
{% endif %}

{% if groups %}
{{ section("Girls and boys, races, ages") }}
<p>{{ groups_note }}</p>
{% for grid in groups %}
<h3>{{ grid.label }}</h3>
{{ table(grid) }}
{% endfor %}
{% endif %}

{% if coverage.rows or interval_notices.rows %}
{{ section("How far a single estimate may be off") }}
<p>A mean error says little about one child. So each estimate gets an interval, the estimate plus and minus
a half-width, that is to hold the true bone age of nine in ten cases like these. The half-width is taken
from the errors on the validation cases, counted with the correction for their number, and for each band of
estimated ages where there are enough of them (split-conformal prediction: Vovk, Gammerman and Shafer, 2005;
Lei et al., 2018; by band: Romano et al., 2020). The test cases show whether the intervals keep their
word.</p>
<p class="note"><strong>What the promise rests on.</strong> New cases must be drawn from the same lot as the
validation cases, as the test cases were. Another scanner, another hospital or population, a hand that lies as
none of theirs did: each breaks it. It is a promise over many cases and many draws of the validation cases:
not for one child, and not for every group of children. For a network that was picked because it did best on
these same validation cases, such as that of the figure, the intervals are a little too narrow.</p>
{% if coverage_picture %}
<div class="figures">{{ show(coverage_picture) }}</div>
{% endif %}
{% if coverage.rows %}
{{ table(coverage) }}
{% for grid in coverage_bands %}
<details><summary>{{ grid.label }}</summary>
{{ table(grid) }}
</details>
{% endfor %}
{% endif %}
{% if coverage_outside.rows %}
<h3>{{ coverage_outside.label }}</h3>
<p>Where less is covered than promised, that is what another source does to an interval; where the promise
seems kept, it is by chance or by wide intervals.</p>
{{ table(coverage_outside) }}
{% endif %}
{% if interval_notices.rows %}
<details{% if not coverage.rows %} open{% endif %}><summary>{{ interval_notices.label }}</summary>
{{ table(interval_notices) }}
</details>
{% endif %}
{% endif %}

{% if outside.rows %}
{{ section("On another source") }}
<p>The same networks on radiographs of another source, none of which they were trained on: other scanners,
other children, other readers. Where the label is another kind of age than that of the training, part of the
error is the labels' own difference.</p>
{{ table(outside) }}
<div class="figures">{% for picture in outside_pictures %}{{ show(picture) }}{% endfor %}</div>
{% endif %}

{% if examinations %}
{{ section("Changed photos, and where networks look") }}
<p><strong>Changed photos.</strong> The photos of the test cases, changed in ways that change nothing about
the hand: turned, mirrored, darker, blurred, with a marker. What does an estimate do that should stay where
it is? The winner of the RSNA challenge of 2017 had a mean difference of 6.9 months on the Digital Hand
Atlas, and of 45.2 months on the same photos turned by 180° (Santomartino et al., 2022). Training turned and
shifted photos a little; what lies far beyond that, no network here has been taught to bear.</p>
<p><strong>Where networks look.</strong> The best, the median, a random and the worst test case, above as the
network saw them, below coloured where a place counts for the estimate, from blue to yellow more: Grad-CAM
(Selvaraju et al., 2017); the roll-out of attention for the vision transformer (Abnar and Zuidema, 2020); the
attention network's own map. A place has seen more of the photo than it is drawn at, and a map on the wrist is
no proof that the wrist is read as a radiologist reads it. Colour off the hand, on a letter or a rim, is a
warning.</p>
{% if not phantom %}
<p class="warn"><strong>These are radiographs of children.</strong> Their source may not allow them to be
passed on, and so neither this page.</p>
{% endif %}
{% for title, pictures, grid in examinations %}
<details{% if loop.first %} open{% endif %}><summary>{{ title }}</summary>
<div class="figures">{% for picture in pictures %}{{ show(picture) }}{% endfor %}</div>
<details><summary>{{ grid.label }}</summary>
{{ table(grid) }}
</details>
</details>
{% endfor %}
{% if centres.rows %}
<h3>{{ centres.label }}</h3>
<p>Of drawn hands it is known where bones grow. How much of a network's heat maps lies there? The number means
something only for networks that were trained on drawn hands, as these were.</p>
{{ table(centres) }}
{% endif %}
{% elif runs %}
{{ section("Changed photos, and where networks look") }}
<p>No network has been examined for this page. On the machine that holds the trained networks and the packed
photos:</p>
<pre>python -m boneage compare --examine --work {{ work }}</pre>
{% endif %}

{% if runs %}
{{ section("Run by run") }}
<p>How the error fell: the training values are taken while the network changes, on changed images (copies,
random turns and shifts), so they may lie above the validation values. Then, for each number of epochs, every
estimate over its truth; the difference over the mean of both, with bias and 95 % limits of agreement (Bland
and Altman, 1986); and at which ages a network fails.</p>
<div class="figures">{{ show(curves) }}</div>
{% for title, pictures in runs %}
<details{% if loop.first %} open{% endif %}><summary>{{ title }}</summary>
<div class="figures">{% for picture in pictures %}{{ show(picture) }}{% endfor %}</div>
</details>
{% endfor %}
{% endif %}

{{ section("The cases") }}
<div class="figures">{{ show(ages) }}</div>

{% if took.rows %}
{{ section("What it took") }}
{{ table(took) }}
{% endif %}

{% if left_out.rows %}
{{ section("Left out") }}
<p>These did not come into the tables.</p>
{{ table(left_out) }}
{% endif %}

{{ section("Make it again") }}
<p>Train what is missing, then compare; what is finished is not trained again. The tables of this page lie
beside it as CSV in <code>comparison/</code>.</p>
<pre>python -m boneage train --epochs {{ epochs }} --work {{ work }}
python -m boneage compare --work {{ work }}</pre>
{% endset %}
<header>
<h1>Bone age: nine networks compared</h1>
{% if headline %}
<p class="result"><strong>{{ headline.years }} years</strong> off on average
<span>({{ headline.months }} months), {{ headline.run }}, on {{ headline.cases }} test cases</span></p>
{% elif not runs %}
<p class="warn"><strong>No run is finished yet.</strong> Train a network, then compare again:</p>
<pre>python -m boneage train --arch {{ first_network }} --epochs {{ epochs }} --work {{ work }}
python -m boneage compare --work {{ work }}</pre>
{% endif %}
{% if phantom %}
<p class="warn"><strong>Drawn hands, not children.</strong> Every picture behind these numbers was drawn by
a program after published ages of ossification. They show that the code works and what it learns from such
drawings; they say nothing about any child.</p>
{% endif %}
{% if headline %}
<p>Chosen by its validation error, {{ headline.run }} is off by {{ headline.years }} years on average on
{{ headline.cases }} test cases that it never saw{{ headline.interval }}, and within one year for
{{ headline.within }}&nbsp;% of them. Always saying the training cases' median age is off by
{{ headline.constant }} years: {{ headline.verdict }}</p>
{% endif %}
<p class="note"><strong>Research software, no medical device.</strong> It must not be used to diagnose or
treat, nor to decide how old a person is.</p>
<p>{{ heading }}</p>
<nav aria-label="Contents"><strong>Contents</strong>
<ul>
{% for title in contents %}
<li><a href="#{{ title|lower|replace(" ", "-") }}">{{ title }}</a></li>
{% endfor %}
</ul></nav>
</header>

<main>
{{ sections }}
</main>
</body>
</html>
"""

TABLE = """\
<style>
.boneage-table { max-width: 100%; overflow-x: auto; line-height: 1.3 }
.boneage-table table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums }
.boneage-table th, .boneage-table td { padding: 4px 10px; text-align: right; white-space: nowrap;
  border-bottom: 1px solid #8884; background: none }
.boneage-table thead th { vertical-align: bottom; border-bottom: 2px solid #8888 }
.boneage-table th:first-child, .boneage-table .words, .boneage-table .words > * { text-align: left }
.boneage-table .words { white-space: normal; min-width: 110px }
.boneage-table small { display: block; font-weight: 400; opacity: .7 }
.boneage-table td.best { background: #009e7333; font-weight: 700 }
.boneage-table td.real { font-weight: 700 }
.boneage-table td.few, .boneage-table .absent > * { opacity: .6; font-style: italic }
.boneage-table .absent td { text-align: left }
.boneage-table tr.constant > * { font-style: italic; border-top: 2px solid #8888; background: #8882 }
.boneage-table .cue { display: none }
</style>
<div class="boneage-table">{{ table(grid) }}</div>
"""
