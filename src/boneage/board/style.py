"""The style sheet: colours of its own, so that radiographs lie on dark ground in a light notebook too.

Heights are fixed wherever words come and go, so that nothing jumps from photo to photo.
"""

STYLE = """
.ba-board {
  --jp-widgets-color: #e8ebee; --jp-widgets-label-color: #c3cad1; --jp-widgets-readout-color: #c3cad1;
  --jp-widgets-input-color: #e8ebee; --jp-widgets-input-background-color: #1d242b;
  --jp-widgets-input-border-color: #3a444e; --jp-widgets-input-focus-border-color: #56b4e9;
  --jp-widgets-font-size: 13px; --jp-widgets-margin: 0px;
  --jp-ui-font-color0: #e8ebee; --jp-ui-font-color1: #e8ebee; --jp-content-font-color1: #e8ebee;
  background: #0f1317; color: #e8ebee; padding: 12px 14px; border-radius: 8px; max-width: 1400px; gap: 2px;
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
.ba-board .ba-suspected { color: #f2b13b; }
.ba-board .ba-undecided { color: #9aa4ae; }

.ba-board button {
  width: auto; height: 30px; margin: 0; padding: 0 10px; flex: none; line-height: 28px; font-size: 13px;
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
.ba-board .widget-dropdown, .ba-board .widget-text, .ba-board .widget-slider { height: 30px; }
.ba-board .widget-label { color: #c3cad1; }
.ba-board .ba-slider {
  width: auto; flex: 1 1 0; min-width: 0; height: 28px; padding-left: 8px; overflow: visible;
}
.ba-board .ba-slider .widget-readout {
  width: 40px; min-width: 0; margin: 0 0 0 6px; padding: 0; text-align: right; color: #c3cad1;
  background: transparent; border: 0;
}
.ba-board .slider-container { min-width: 0; overflow: visible; }

.ba-board .ba-head { min-height: 34px; height: auto; flex-wrap: wrap; justify-content: space-between; }
.ba-board .ba-head > .ba-dim {
  width: 215px; flex: none; text-align: right; white-space: nowrap; overflow: hidden; text-overflow: ellipsis;
}
.ba-board .ba-mode { width: 245px; height: 30px; flex: none; }
.ba-board .ba-mode .widget-toggle-button { width: auto; margin: 0 4px 0 0; }
.ba-board .ba-status { flex: 1 0 auto; text-align: center; white-space: nowrap; }
.ba-board .ba-status b { font-size: 15px; }
.ba-board .ba-status span { margin-left: 12px; }
.ba-board .ba-place { width: 100%; height: 20px; padding: 0 8px; }
.ba-board .ba-ways { min-height: 34px; height: auto; flex-wrap: wrap; row-gap: 6px; }
.ba-board .ba-filter { width: auto; flex: 1 1 100px; min-width: 90px; }
.ba-board .ba-filter select { width: 100%; }
.ba-board .ba-jump { width: 110px; flex: none; }
.ba-board .ba-message { height: 24px; width: 100%; overflow: hidden; flex: none; }
.ba-board .ba-message div { white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
.ba-board .ba-error { color: #ff9d92; }
.ba-board .ba-notice { color: #f2b13b; }
.ba-board .ba-done { color: #7fd6a2; }
.ba-board .ba-notices { min-height: 0; width: 100%; }
.ba-board .ba-notices summary { cursor: pointer; color: #f2b13b; margin-top: 6px; }
.ba-board .ba-body { display: block; width: 100%; container-type: inline-size; }
.ba-board .ba-view { width: 100%; gap: 8px; }

.ba-board .ba-decide { min-height: 40px; height: auto; flex-wrap: wrap; row-gap: 6px; }
.ba-board .ba-decide button { height: 36px; line-height: 34px; }
.ba-board button.ba-keep { min-width: 104px; font-size: 15px; }
.ba-board .ba-label { flex: none; }
.ba-board .ba-note { flex: 1 1 100px; width: auto; min-width: 90px; }
.ba-board .ba-note input { width: 100%; }

.ba-board .ba-columns {
  display: grid; grid-template-columns: minmax(0, 4fr) minmax(0, 3fr) 270px; gap: 14px; align-items: start;
}
@container (max-width: 800px) {
  .ba-board .ba-columns { grid-template-columns: minmax(0, 4fr) minmax(0, 3fr); }
  .ba-board .ba-operators { grid-column: 1 / -1; }
}
.ba-board .ba-columns > * { width: 100%; gap: 6px; }
.ba-board .ba-frame {
  position: relative; width: 100%; aspect-ratio: 1 / 1; background: #000; border-radius: 4px; flex: none;
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
.ba-board .ba-facts { height: 66px; width: 100%; overflow: hidden; flex: none; }
.ba-board .ba-id { font-size: 17px; font-weight: 600; line-height: 28px; white-space: nowrap; }
.ba-board .ba-chip {
  font-size: 12px; font-weight: 500; padding: 2px 8px; border-radius: 9px; background: #27303a;
  vertical-align: 2px; margin-left: 10px;
}
.ba-board .ba-suspicions { width: 100%; height: 60px; margin: 0; flex: none; }
.ba-board .ba-suspicions select {
  width: 100%; height: 60px; padding: 2px 6px; overflow-y: auto;
}
.ba-board .ba-suspicions option { color: #f2b13b; }
.ba-board .ba-why { height: 54px; width: 100%; overflow-y: auto; color: #c3cad1; flex: none; }
.ba-board .ba-title { color: #9aa4ae; height: 20px; width: 100%; flex: none; overflow: hidden; }
.ba-board .ba-title .widget-html-content { white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }

.ba-board .ba-operators { background: #151a20; border-radius: 6px; padding: 8px 10px; gap: 4px; }
.ba-board .ba-suggested { width: 100%; height: 32px; overflow: hidden; flex: none; }
.ba-board .ba-suggested .widget-html-content { font-size: 12px; line-height: 16px; }
.ba-board .ba-spread { justify-content: space-between; gap: 4px; }
.ba-board .ba-halves > * { flex: 1 1 0; min-width: 0; }
.ba-board button.ba-switch { width: 84px; padding: 0 4px; height: 28px; line-height: 26px; }
.ba-board .ba-halves > button.ba-switch { flex: 1 1 0; }
.ba-board .ba-box-slider .widget-label {
  width: 38px; min-width: 0; margin: 0; font-size: 12px; text-align: left;
}
.ba-board .ba-boxes { gap: 4px; }
.ba-board .ba-boxes > :first-child { flex: 1 1 0; width: auto; min-width: 0; padding: 0 4px; }
.ba-board .ba-boxes > .ba-which { padding: 0; }
.ba-board .ba-which select { width: 100%; }

.ba-board .ba-strip {
  display: grid; grid-template-columns: repeat(8, minmax(0, 1fr)); gap: 8px; width: 100%;
}
.ba-board .ba-grid {
  display: grid; grid-template-columns: repeat(auto-fill, minmax(148px, 1fr)); gap: 10px 8px; width: 100%;
}
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
