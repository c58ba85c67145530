// Keys and the pointer of the review board, which core widgets cannot hear. Whatever is done here a button
// does, too; without this script the board works as well.

const KEYS = {
  k: "keep", enter: "keep", u: "undo", arrowleft: "back", arrowright: "next",
  1: "1", 2: "2", 3: "3", 4: "4", 5: "5",
};
const TYPED = "textarea, [contenteditable=true], input:not([type=button], [type=checkbox], [type=range])";
const SLID = ".ui-slider-handle, .noUi-handle, [role=slider], input[type=range]";
// JupyterLab leaves alone what is pressed inside an element that has this.
const SUPPRESSED = "data-lm-suppress-shortcuts";
const MOST = 8; // Enlarged at most; as in the board.
const A_CLICK = 4; // Pixels that a hand moves in a click.

export default {
  render({ model, el }) {
    const over = new AbortController();
    const attach = () => {
      const board = el.closest(".ba-board");
      if (board) for (const act of [hearKeys, followPointer, tellRoom]) act(model, board, over.signal);
      else if (!over.signal.aborted) requestAnimationFrame(attach);
    };
    attach();
    return () => over.abort();
  },
};

function hearKeys(model, board, signal) {
  let moved = null; // What was in sight when an arrow was last pressed.
  let isHeld = false; // Whether the mouse was pressed on the board.

  const takeFocus = () => {
    const at = document.activeElement;
    if (!at || !board.contains(at) || !at.matches(`${TYPED}, select`)) board.focus({ preventScroll: true });
  };

  const hear = (event) => {
    if (!event.composedPath().includes(board)) return;
    const at = event.composedPath()[0], key = event.key.toLowerCase();
    const isTheirs = (event.ctrlKey || event.metaKey || event.altKey) && key !== "enter";
    board.toggleAttribute(SUPPRESSED, !isTheirs);
    if (isTheirs || /^f\d+$/.test(key) || event.isComposing) return;
    // A slider that was reached with Tab listens by itself; its keys must come to it.
    if (at.matches(SLID) && /^(arrow|home|end|page)/.test(key)) return;
    // The window hears first, so neither the notebook nor the page does; the browser still does its part.
    event.stopImmediatePropagation();
    if (event.type !== "keydown") return;
    if (at.matches(TYPED)) {
      // At once: the next key may come before a timer does. Leaving a field hands over what was typed.
      if (key === "enter" || key === "escape") board.focus({ preventScroll: true });
      return;
    }
    if (at.matches("select") || (at.matches("button, summary") && (key === "enter" || key === " "))) return;
    // Some keyboards, such as French ones, have the digits on Shift.
    const isShifted = event.shiftKey && !/^[1-5]$/.test(key);
    const act = isShifted || event.ctrlKey || event.metaKey || event.altKey ? undefined : KEYS[key];
    if (act || key === "enter" || key.length === 1) event.preventDefault();
    if (!act) return;
    const seen = model.get("seen");
    // A key that is held down decides once; an arrow goes on as fast as images come.
    if (event.repeat && !(key.startsWith("arrow") && seen !== moved)) return;
    moved = key.startsWith("arrow") ? seen : null;
    model.send({ key: act, seen });
  };

  board.tabIndex = 0;
  board.classList.add("ba-live");
  signal.addEventListener("abort", () => board.classList.remove("ba-live"));
  // Before all others: JupyterLab listens on the document, on the way down.
  for (const type of ["keydown", "keypress", "keyup"])
    window.addEventListener(type, hear, { capture: true, signal });
  // A click leaves the keys with the board and not with what was clicked, where Enter would click again. At
  // once: a timer might take the focus from what was reached with Tab since.
  board.addEventListener("pointerdown", () => { isHeld = true; }, { capture: true, signal });
  window.addEventListener("pointerup", () => {
    if (isHeld) takeFocus();
    isHeld = false;
  }, { capture: true, signal });
  board.addEventListener("change", (event) => {
    if (event.target.matches("select")) board.focus({ preventScroll: true });
  }, { signal });
}

function followPointer(model, board, signal) {
  // The part of the image that a person wants to see: left, top and side in shares of it.
  let want = model.get("view");
  let asked = null, isBusy = false, drag = null;

  // Views come and go as the board changes its look, so all is heard on the board itself.
  const frameOf = (event) => event.target.closest?.(".ba-look");
  const frames = () => [...board.querySelectorAll(".ba-look")];
  const hear = (type, act, options) =>
    board.addEventListener(type, (event) => {
      const frame = frameOf(event);
      if (frame) act(event, frame);
    }, { signal, ...options });

  // The board draws the part again; until that is there, what is there is moved and stretched.
  const place = (frame) => {
    const img = frame.querySelector("img"), [left, top, side] = img.shownView ?? model.get("view");
    const isThere = left === want[0] && top === want[1] && side === want[2];
    const [x, y] = [left - want[0], top - want[1]].map((share) => `${(100 * share) / want[2]}%`);
    img.style.transformOrigin = "0 0";
    img.style.transform = isThere ? "" : `translate(${x}, ${y}) scale(${side / want[2]})`;
  };
  const placeAll = () => frames().forEach(place);

  // One question at a time, and the newest next: a slow kernel must not fall behind the hand.
  const ask = (what) => {
    asked = { ...asked, ...what };
    if (isBusy) return;
    isBusy = true;
    model.send(asked);
    asked = null;
  };
  const drop = () => {
    drag?.drawn?.remove();
    drag = null;
  };
  const on = (name, act) => {
    model.on(`change:${name}`, act);
    signal.addEventListener("abort", () => model.off(`change:${name}`, act));
  };
  on("answered", () => {
    isBusy = false;
    if (asked) return ask({});
    want = model.get("view");
    placeAll();
  });
  on("view", () => {
    if (!isBusy) want = model.get("view");
    placeAll();
  });
  on("seen", () => {
    asked = null;
    want = model.get("view");
    drop();
    placeAll();
  });
  const showTool = () => board.classList.toggle("ba-drawing", model.get("drawing"));
  on("drawing", showTool);
  showTool();

  const look = (left, top, side) => {
    const most = 1 - side;
    want = [Math.min(Math.max(left, 0), most), Math.min(Math.max(top, 0), most), side];
    placeAll();
    ask({ view: want });
  };
  const enlarge = ([x, y], factor) => {
    const side = Math.min(Math.max(want[2] / factor, 1 / MOST), 1);
    look(want[0] + x * (want[2] - side), want[1] + y * (want[2] - side), side);
  };
  const at = (event, frame) => {
    const box = frame.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  };
  // The box between where a drag began and where it is: left, top, width and height in shares of the frame.
  const boxOf = (event, frame) => {
    const end = at(event, frame).map((share) => Math.min(Math.max(share, 0), 1));
    const low = end.map((share, axis) => Math.min(share, drag.from[axis]));
    return [...low, ...end.map((share, axis) => Math.abs(share - drag.from[axis]))];
  };

  hear("load", (event, frame) => {
    event.target.shownView = model.get("view");
    place(frame);
  }, { capture: true });
  hear("wheel", (event, frame) => {
    if (event.ctrlKey || !event.deltaY) return;
    // Where there is nothing more to see the page scrolls as ever.
    if (event.deltaY > 0 ? want[2] >= 1 : want[2] <= 1 / MOST) return;
    event.preventDefault();
    event.stopPropagation();
    enlarge(at(event, frame), Math.min(Math.max(2 ** (-event.deltaY / 250), 0.5), 2));
  }, { passive: false });
  hear("dblclick", (event, frame) => {
    if (want[2] < 1) look(0, 0, 1);
    else enlarge(at(event, frame), 3);
  });
  hear("contextmenu", (event) => {
    event.preventDefault();
    event.stopPropagation();
  });
  hear("dragstart", (event) => event.preventDefault());
  hear("pointerdown", (event, frame) => {
    if (event.button !== 0 && event.button !== 2) return;
    const isTone = event.button === 2 || event.shiftKey, isPicture = frame === frames()[0];
    const kind = isTone ? "tone" : model.get("drawing") && isPicture ? "draw" : "move";
    drop();
    drag = { kind, frame, from: at(event, frame), view: want, tone: model.get("tone"), drawn: null };
    frame.setPointerCapture(event.pointerId);
    if (kind === "draw") {
      drag.drawn = document.createElement("div");
      drag.drawn.className = "ba-drawn";
      frame.append(drag.drawn);
    }
  });
  hear("pointermove", (event, frame) => {
    if (drag?.frame !== frame) return;
    const [x, y] = at(event, frame), [left, top, side] = drag.view;
    if (drag.kind === "draw") {
      const [left, top, width, height] = boxOf(event, frame).map((share) => `${100 * share}%`);
      Object.assign(drag.drawn.style, { left, top, width, height });
    } else if (drag.kind === "move") {
      if (side < 1) look(left + (drag.from[0] - x) * side, top + (drag.from[1] - y) * side, side);
    } else {
      // As at a reading station: up is brighter, to the right is softer.
      ask({ tone: [drag.tone[0] + 255 * (y - drag.from[1]), drag.tone[1] + 255 * (x - drag.from[0])] });
    }
  });
  hear("pointerup", (event, frame) => {
    if (drag?.kind === "draw" && drag.frame === frame) {
      const [x, y, width, height] = boxOf(event, frame), [left, top, side] = want;
      if (width * frame.clientWidth > A_CLICK && height * frame.clientHeight > A_CLICK) {
        const box = [left + x * side, top + y * side, width * side, height * side];
        model.send({ box, seen: model.get("seen") });
      }
    }
    drop();
  });
  hear("pointercancel", drop);
}

// How high the board may be to be seen whole, for the style sheet.
function tellRoom(model, board, signal) {
  // One that does not scroll now may be as high as what it holds, which says nothing.
  const scrolls = (one) =>
    /auto|scroll/.test(getComputedStyle(one).overflowY) && one.scrollHeight > one.clientHeight + 1;
  const tell = () => {
    let room = window.innerHeight;
    for (let up = board.parentElement; up && up !== document.body; up = up.parentElement)
      if (scrolls(up)) room = Math.min(room, up.clientHeight);
    // A frame that is as high as what it shows, as on Colab, says nothing; the screen less its bars does.
    const isFramed = window.parent !== window && room === window.innerHeight;
    board.style.setProperty("--ba-room", `${isFramed ? screen.availHeight - 230 : room - 8}px`);
  };
  tell();
  window.addEventListener("resize", tell, { signal });
}
