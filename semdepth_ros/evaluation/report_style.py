"""How a report looks, on light and dark screens and on paper."""

STYLE = '''
:root { color-scheme: light dark; --ground: #fbfbfa; --ink: #1d2126; --faint: #5d6670; --line: #dcdfe3; --card: #ffffff;
        --accent: #1f6fb2; --bar: #8cb9dd; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #14171b; --ink: #e6e8eb; --faint: #9aa4af; --line: #2d333b; --card: #1b1f25; --accent: #78b7f0;
          --bar: #35648c; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink);
       font: 15px/1.5 system-ui, "Segoe UI", Roboto, sans-serif; }
main { max-width: 1320px; margin: 0 auto; padding: 24px 20px 64px; }
h1 { font-size: 1.7rem; margin: 0; } h2 { font-size: 1.25rem; margin: 2.4rem 0 .8rem; overflow-wrap: anywhere; }
h3 { font-size: 1rem; margin: 0 0 .4rem; } header p, .part p, figcaption { color: var(--faint); margin: .2rem 0 .6rem; }
a { color: var(--accent); text-decoration: none; } a:hover { text-decoration: underline; }
.part { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 14px 16px;
        margin: 0 0 16px; }
.parts { columns: 2 580px; column-gap: 16px; } .parts .part { break-inside: avoid; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th { text-align: right; font-weight: 600; color: var(--faint); font-size: .82rem; vertical-align: bottom;
     line-height: 1.25; }
th, td { padding: 5px 8px; border-bottom: 1px solid var(--line); white-space: nowrap; } td { text-align: right; }
th:first-child, td:first-child { text-align: left; padding-left: 0; } tbody tr:last-child td { border-bottom: 0; }
.chip { display: inline-block; width: 12px; height: 12px; border-radius: 3px; margin-right: 8px; vertical-align: -1px;
        box-shadow: 0 0 0 1px var(--line); }
.bar { display: inline-block; width: 60px; height: 9px; background: var(--line); border-radius: 5px; overflow: hidden;
       vertical-align: 1px; } .bar i { display: block; height: 100%; background: var(--bar); }
.value { display: inline-block; min-width: 4.2em; }
figure { margin: 0 0 18px; } figure img { max-width: 100%; height: auto; display: block; border: 1px solid var(--line);
         border-radius: 8px; } figcaption { font-size: .85rem; }
.facts { list-style: none; display: flex; flex-wrap: wrap; gap: 12px; padding: 0; }
.facts li { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 10px 16px; }
.facts span { display: block; color: var(--faint); font-size: .82rem; } .facts b { font-size: 1.25rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 6px 18px; } dt { font-weight: 600; } dd { margin: 0; }
@media (max-width: 640px) { dl { grid-template-columns: 1fr; } dd { margin-bottom: 6px; } }
@media print { .part, figure { break-inside: avoid; } }
'''
