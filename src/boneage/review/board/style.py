"""The style sheet: colours of its own, so that radiographs lie on dark ground in a light notebook too.

Heights are fixed wherever words come and go, so that nothing jumps from image to image.
"""

STYLE = """
.ba-board {
  --jp-widgets-color: #e8ebee; --jp-widgets-label-color: #c3cad1; --jp-widgets-readout-color: #c3cad1;
  --jp-widgets-input-color: #e8ebee; --jp-widgets-input-background-color: #1d242b;
  --jp-widgets-input-border-color: #3a444e; --jp-widgets-input-focus-border-color: #56b4e9;
  --jp-widgets-font-size: 13px; --jp-widgets-margin: 0px;
  --jp-ui-font-color0: #e8ebee; --jp-ui-font-color1: #e8ebee; --jp-content-font-color1: #e8ebee;
  background: #0f1317; color: #e8ebee; padding: 8px 12px; border-radius: 8px; max-width: 1560px; gap: 4px;
  position: relative;
}
.ba-board, .ba-board * { box-sizing: border-box; font-family: system-ui, sans-serif; }
.ba-board .ba-style { display: none; }
.ba-board .widget-box { overflow: hidden; min-width: 0; margin: 0; }
.ba-board .ba-row { align-items: center; gap: 8px; width: 100%; flex: none; }
.ba-board .widget-html, .ba-board .widget-html-content {
  color: inherit; line-height: 18px; height: auto; min-width: 0; margin: 0; padding: 0; font-size: 13px;
}
.ba-board .widget-html-content { width: 100%; }
.ba-board .ba-dim { color: #9aa4ae; }
.ba-board .ba-clip { white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
.ba-board .ba-kept { color: #7fd6a2; }
.ba-board .ba-rejected { color: #ff9d92; }
.ba-board .ba-flagged { color: #f2b13b; }
.ba-board .ba-undecided { color: #9aa4ae; }

.ba-board button {
  width: auto; height: 28px; margin: 0; padding: 0 9px; flex: none; line-height: 26px; font-size: 13px;
  color: #e8ebee; background: #27303a; border: 1px solid #3a444e; border-radius: 5px; box-shadow: none;
}
.ba-board button:hover:enabled { border-color: #8b97a3; box-shadow: none; }
.ba-board button:focus-visible { outline: 2px solid #56b4e9; outline-offset: 1px; }
.ba-board button:disabled { opacity: 0.45; }
.ba-board button.mod-active, .ba-board button.mod-primary {
  background: #1f5f8b; border-color: #56b4e9; color: #fff;
}
.ba-board button.mod-success { background: #1f7a47; border-color: #2f9d60; color: #fff; font-weight: 600; }
.ba-board button.mod-danger { background: #4a2320; border-color: #b3473d; color: #ffd9d4; }
.ba-board button.mod-danger:hover:enabled { background: #a33a31; color: #fff; }
.ba-board button.ba-narrow { padding: 0 8px; min-width: 30px; }
.ba-board select, .ba-board input[type="text"], .ba-board input[type="search"] {
  color: #e8ebee; background-color: #1d242b; border: 1px solid #3a444e; border-radius: 5px; font-size: 13px;
}
.ba-board .widget-dropdown select { background-image: url("data:image/svg+xml,\
%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 18 18'%3E\
%3Cpath d='M5 7l4 4 4-4' fill='none' stroke='%239aa4ae' stroke-width='1.6'/%3E%3C/svg%3E"); }
.ba-board input::placeholder { color: #9aa4ae; opacity: 1; }
.ba-board select option { background: #1d242b; color: #e8ebee; }
.ba-board .widget-inline-hbox { margin: 0; }
.ba-board .widget-dropdown, .ba-board .widget-text, .ba-board .widget-slider { height: 28px; }
.ba-board .widget-label { color: #c3cad1; }
.ba-board .ba-slider {
  width: auto; flex: 1 1 0; min-width: 0; height: 28px; padding-left: 8px; overflow: visible;
}
.ba-board .ba-slider .widget-readout {
  width: 40px; min-width: 0; margin: 0 0 0 6px; padding: 0; text-align: right; color: #c3cad1;
  background: transparent; border: 0;
}
.ba-board .slider-container { min-width: 0; overflow: visible; }

.ba-board .ba-head { min-height: 30px; height: auto; flex-wrap: wrap; gap: 4px 12px; }
.ba-board .ba-mode { width: 262px; height: 28px; flex: none; }
.ba-board .ba-mode .widget-toggle-button { width: auto; margin: 0 4px 0 0; }
.ba-board .ba-status { flex: none; white-space: nowrap; }
.ba-board .ba-status b { font-size: 14px; }
.ba-board .ba-status span { margin-left: 10px; }
.ba-board .ba-message { height: 30px; flex: 1 1 220px; width: auto; min-width: 0; overflow: hidden; }
.ba-board .ba-message div { line-height: 15px; max-height: 30px; overflow: hidden; font-size: 12px; }
.ba-board .ba-message .widget-html-content { display: flex; align-items: center; height: 30px; }
.ba-board .ba-error { color: #ff9d92; }
.ba-board .ba-notice { color: #f2b13b; }
.ba-board .ba-done { color: #7fd6a2; }
.ba-board .ba-ways { min-height: 30px; height: auto; flex-wrap: wrap; gap: 4px 6px; }
.ba-board .ba-place { flex: 1 1 120px; width: auto; min-width: 80px; height: 28px; padding: 0 8px; }
.ba-board .ba-filter { width: auto; flex: 0 1 140px; min-width: 90px; }
.ba-board .ba-filter select { width: 100%; }
.ba-board .ba-jump { width: 92px; flex: none; }
.ba-board .ba-notices { min-height: 0; width: 100%; }
.ba-board .ba-notices summary { cursor: pointer; color: #f2b13b; margin-top: 6px; }
.ba-board .ba-script { position: absolute; width: 0; height: 0; overflow: hidden; margin: 0; }
.ba-board .ba-body { display: block; width: 100%; container-type: inline-size; }
.ba-board .ba-view { width: 100%; gap: 6px; }

.ba-board .ba-decide { width: 100%; height: auto; gap: 4px; flex: none; }
.ba-board .ba-decide > .ba-row { gap: 4px; flex-wrap: wrap; }
.ba-board .ba-decide button { height: 32px; line-height: 30px; padding: 0 6px; }
.ba-board button.ba-keep { font-size: 15px; }
.ba-board .ba-label { flex: none; }
.ba-board .ba-note { flex: 1 1 80px; width: 100%; min-width: 80px; height: 26px; }
.ba-board .ba-note input { width: 100%; height: 26px; }
.ba-board .ba-decide > .ba-note { flex: none; }

/* All of a case on one screen: image and strip are as large as the room below the notebook's own bars lets
   them. The script says how much that is; without it the screen is asked, and not the page, which in some
   notebooks is a frame as high as what it shows. */
.ba-board { --room: 960px; }
@media (max-device-height: 800px) { .ba-board { --room: 640px; } }
.ba-board .ba-columns {
  --side: clamp(240px, (var(--ba-room, var(--room)) - 184px) / 1.21, 37cqw);
  display: grid; grid-template-columns: var(--side) calc(0.74 * var(--side)) minmax(0, 1fr); gap: 6px 12px;
  grid-template-rows: auto 1fr; align-items: start;
}
.ba-board .ba-columns > .ba-settings { grid-column: 3; grid-row: 1 / 3; }
.ba-board .ba-columns > .ba-alike { grid-column: 1 / 3; }
@container (max-width: 1080px) {
  .ba-board .ba-columns { --side: 31cqw; }
  .ba-board .ba-boxes { flex-wrap: wrap; }
}
@container (max-width: 900px) {
  .ba-board .ba-columns { grid-template-columns: minmax(0, 5fr) minmax(0, 4fr); grid-template-rows: auto; }
  .ba-board .ba-columns > .ba-settings { grid-column: 1 / -1; grid-row: auto; }
}
.ba-board .ba-columns > * { width: 100%; gap: 4px; }
.ba-board .ba-frame {
  position: relative; width: 100%; aspect-ratio: 1 / 1; background: #000; border-radius: 4px; flex: none;
  overflow: hidden;
}
.ba-board .ba-frame .ba-image {
  position: absolute; left: 0; top: 0; width: 100%; height: 100%; max-width: none; margin: 0;
  object-fit: contain;
}
.ba-board .ba-cells {
  position: absolute; left: 0; top: 0; width: 100%; height: 100%; display: grid; gap: 0;
  grid-template-columns: repeat(7, 1fr); grid-template-rows: repeat(7, 1fr);
}
.ba-board button.ba-cell, .ba-board button.ba-cell:hover:enabled, .ba-board button.ba-cell:focus {
  width: 100%; height: 100%; padding: 0; border: 0; border-radius: 0; background: transparent;
  box-shadow: none; cursor: zoom-in;
}
/* Where the pointer is heard, it does better than the cells. */
.ba-board.ba-live .ba-cells { display: none; }
.ba-board.ba-live .ba-look { cursor: grab; touch-action: pan-y; user-select: none; }
.ba-board.ba-live .ba-look:active { cursor: grabbing; }
.ba-board.ba-drawing .ba-columns > :first-child .ba-look { cursor: crosshair; touch-action: none; }
.ba-board .ba-drawn {
  position: absolute; border: 2px solid #56b4e9; box-shadow: 0 0 0 1px #000; pointer-events: none;
}
.ba-board.ba-live:focus-within { box-shadow: inset 0 0 0 2px #2b6c98; }
.ba-board.ba-live:focus { outline: none; }
.ba-board .ba-named { padding-left: 0; height: 26px; }
.ba-board .ba-named .widget-label {
  width: auto; min-width: 0; margin: 0; font-size: 12px; text-align: left; flex: none;
}
.ba-board .ba-named .widget-readout { width: 26px; margin-left: 2px; font-size: 12px; flex: none; }
.ba-board .ba-columns > :first-child { container-type: inline-size; }
@container (max-width: 360px) { .ba-board .ba-named .widget-readout { display: none; } }
.ba-board .ba-facts { height: 62px; width: 100%; overflow: hidden; flex: none; }
.ba-board .ba-id { font-size: 16px; font-weight: 600; line-height: 24px; white-space: nowrap; }
.ba-board .ba-chip {
  font-size: 12px; font-weight: 500; padding: 2px 8px; border-radius: 9px; background: #27303a;
  vertical-align: 2px; margin-left: 10px;
}
.ba-board .ba-below { align-items: flex-start; gap: 8px; }
.ba-board .ba-below > :last-child { flex: 1 1 0; gap: 4px; min-width: 0; }
.ba-board .ba-copy { width: 92px; flex: none; gap: 2px; }
.ba-board .ba-copy .ba-caption { width: 100%; height: 26px; flex: none; }
.ba-board .ba-copy .ba-caption .widget-html-content { font-size: 11px; line-height: 13px; }
.ba-board .ba-anomalies { width: 100%; height: 58px; margin: 0; flex: none; }
.ba-board .ba-anomalies select {
  width: 100%; height: 58px; padding: 2px 4px; overflow-y: auto; font-size: 12px;
}
.ba-board .ba-anomalies option { color: #f2b13b; }
.ba-board .ba-anomalies option[value*="faint"] { color: #9aa4ae; }
.ba-board .ba-why { height: 58px; width: 100%; overflow-y: auto; color: #c3cad1; flex: none; }
.ba-board .ba-why .widget-html-content { font-size: 12px; line-height: 16px; }
.ba-board .ba-title { color: #9aa4ae; height: 18px; width: 100%; flex: none; overflow: hidden; }
.ba-board .ba-title .widget-html-content { white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }

.ba-board .ba-settings { gap: 5px; }
.ba-board .ba-panel {
  background: #151a20; border-radius: 6px; padding: 4px 8px 6px; gap: 4px; width: 100%; flex: none;
}
.ba-board .ba-panel .ba-row { gap: 4px; }
.ba-board .ba-panel .ba-spread .ba-dim, .ba-board .ba-panel .ba-state { font-size: 12px; }
.ba-board .ba-panel .ba-title { width: auto; flex: 1 1 0; min-width: 0; color: inherit; }
.ba-board .ba-panel .ba-spread > :first-child { flex: 1 1 0; min-width: 0; overflow: hidden; }
.ba-board .ba-panel .ba-spread > :first-child .widget-html-content {
  white-space: nowrap; overflow: hidden; text-overflow: ellipsis;
}
.ba-board .ba-state { color: #7fd6a2; }
.ba-board .ba-suggested { flex: 1 1 0; min-width: 0; overflow: hidden; }
.ba-board .ba-suggested .widget-html-content { font-size: 12px; line-height: 16px; }
.ba-board .ba-spread { justify-content: space-between; gap: 4px; }
.ba-board .ba-even > * { flex: 1 1 0; min-width: 0; }
.ba-board button.ba-small, .ba-board button.ba-switch, .ba-board button.ba-chip {
  height: 24px; line-height: 22px; font-size: 12px; padding: 0 6px; flex: none;
}
.ba-board button.ba-switch { width: 70px; padding: 0 2px; }
.ba-board .ba-even > button.ba-switch { flex: 1 1 0; width: auto; }
.ba-board .ba-dials { display: grid; grid-template-columns: 1fr 1fr; gap: 4px 8px; width: 100%; }
.ba-board .ba-dials .ba-slider { height: 24px; }
.ba-board .ba-dials .widget-readout { width: 34px; margin-left: 2px; font-size: 12px; }
.ba-board .ba-box-slider { height: 20px; padding-left: 2px; }
.ba-board .ba-box-slider .widget-label {
  width: auto; min-width: 0; margin: 0; font-size: 12px; text-align: left; flex: none;
}
.ba-board .ba-boxes > .ba-which { flex: 1 1 60px; width: auto; min-width: 60px; padding: 0; height: 24px; }
.ba-board .ba-which select { width: 100%; height: 24px; font-size: 12px; }
.ba-board .ba-chips { display: flex; flex-flow: row wrap; gap: 4px 3px; width: 100%; }
.ba-board button.ba-chip {
  border-radius: 12px; margin: 0; font-size: 11px; padding: 0 5px; vertical-align: 0; background: #1d242b;
}
.ba-board button.ba-chip.mod-active { background: #1f5f8b; }

.ba-board .ba-alike { gap: 2px; }
.ba-board .ba-strip {
  display: grid; grid-template-columns: repeat(8, minmax(0, 1fr)); gap: 6px; width: 100%;
}
.ba-board .ba-strip .ba-tile { position: relative; }
.ba-board .ba-strip .ba-tile > .ba-row {
  position: absolute; left: 0; bottom: 0; padding: 0 6px; pointer-events: none;
}
.ba-board .ba-strip .ba-caption { text-shadow: 0 0 3px #000, 0 0 3px #000; color: #fff; }
/* Eight, six or four beside each other: a page of 24 fills its rows. */
.ba-board .ba-grid {
  display: grid; grid-template-columns: repeat(8, minmax(0, 1fr)); gap: 8px; width: 100%;
}
@container (max-width: 900px) { .ba-board .ba-grid { grid-template-columns: repeat(6, minmax(0, 1fr)); } }
@container (max-width: 560px) { .ba-board .ba-grid { grid-template-columns: repeat(4, minmax(0, 1fr)); } }
.ba-board .ba-page { flex-wrap: wrap; gap: 6px; }
.ba-board .ba-page button { height: 32px; line-height: 30px; }
.ba-board .ba-tile { width: 100%; gap: 3px; }
.ba-board button.ba-over, .ba-board button.ba-over:hover:enabled {
  position: absolute; left: 0; top: 0; width: 100%; height: 100%; padding: 0; background: transparent;
  border: 2px solid transparent; border-radius: 4px; box-shadow: none; color: #fff; font-size: 40px;
  cursor: pointer;
}
.ba-board button.ba-over:hover:enabled { border-color: #8b97a3; }
.ba-board .ba-strip button.ba-over.mod-active { border-color: #56b4e9; }
.ba-board .ba-grid button.ba-over.mod-active {
  border: 4px solid #d9534a; background: rgba(160, 40, 32, 0.35);
}
.ba-board .ba-caption { flex: 1 1 0; overflow: hidden; color: #c3cad1; }
.ba-board .ba-caption .widget-html-content { font-size: 12px; line-height: 16px; }
.ba-board button.ba-open { padding: 0 6px; height: 26px; line-height: 24px; }

.ba-board .ba-card { background: #151a20; border-radius: 6px; padding: 20px; min-height: 420px; gap: 14px; }
.ba-board .ba-card > * { flex: none; align-self: flex-start; }
.ba-board .ba-ages { width: 860px; max-width: 100%; }
.ba-board .ba-end { width: 100%; }
.ba-board .ba-headline { font-size: 22px; font-weight: 600; line-height: 32px; }
.ba-board .ba-counts { font-size: 14px; line-height: 22px; color: #c3cad1; }
.ba-board .ba-advice { font-size: 15px; line-height: 24px; color: #7fd6a2; margin-top: 6px; }
"""
