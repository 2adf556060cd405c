// A canvas that lies over an image, on which a person marks defects: brush, eraser, polygon.

const STEPS = 30;       // that can be taken back
const NEAR = 12;        // pixels of the screen within which a click closes a polygon

export class Painter {
  /**
   * @param {HTMLCanvasElement} canvas over the image
   * @param {{colour: () => string, width: () => number, changed?: () => void}} how: the colour
   *   (#RRGGBB) and the width of the brush, in pixels of an image that is 512 wide; what to call
   *   after each change
   */
  constructor(canvas, how) {
    this.canvas = canvas;
    this.how = how;
    this.pen = canvas.getContext("2d", { willReadFrequently: true });
    this.tool = "brush";  // or "eraser", or "polygon"
    this.painted = false;
    this.steps = [];      // pictures of the canvas before each step
    this.last = null;     // where the brush is
    this.corners = [];    // of the polygon that is being drawn
    canvas.addEventListener("pointerdown", (event) => this.#press(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    for (const end of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(end, () => { this.last = null; });
    }
  }

  /** Begin anew, on an image of this size. */
  start(width, height) {
    this.canvas.width = width;
    this.canvas.height = height;
    this.steps = [];
    this.corners = [];
    this.painted = false;
  }

  /** Lay a picture over what is there, such as the mask that is known. */
  lay(picture, isStep = false) {
    if (isStep) this.#step();
    this.pen.globalCompositeOperation = "source-over";
    this.pen.drawImage(picture, 0, 0, this.canvas.width, this.canvas.height);
  }

  choose(tool) {
    this.dropPolygon();
    this.tool = tool;
  }

  undo() {
    if (this.corners.length) return this.dropPolygon();
    const before = this.steps.pop();
    if (before) this.pen.putImageData(before, 0, 0);
    this.how.changed?.();
  }

  clear() {
    this.dropPolygon();
    this.#step();
    this.pen.clearRect(0, 0, this.canvas.width, this.canvas.height);
    this.how.changed?.();
  }

  /** Fill the polygon that is being drawn. */
  closePolygon() {
    if (this.corners.length < 3) return this.dropPolygon();
    const corners = this.corners;
    this.dropPolygon();
    this.#step();
    this.#outline(corners);
    this.pen.fillStyle = this.how.colour();
    this.pen.fill();
    this.how.changed?.();
  }

  /** Forget the polygon that is being drawn. */
  dropPolygon() {
    if (!this.corners.length) return;
    this.corners = [];
    this.pen.putImageData(this.unfinished, 0, 0);
  }

  /** The painting as a PNG, in base 64; a polygon that is still open is closed. */
  png() {
    this.closePolygon();
    return this.canvas.toDataURL("image/png").split(",")[1];
  }

  #picture() { return this.pen.getImageData(0, 0, this.canvas.width, this.canvas.height); }

  #step() {
    this.steps.push(this.#picture());
    if (this.steps.length > STEPS) this.steps.shift();
    this.painted = true;
  }

  #spot(event) {
    const box = this.canvas.getBoundingClientRect();
    return [
      (event.clientX - box.left) * this.canvas.width / box.width,
      (event.clientY - box.top) * this.canvas.height / box.height,
    ];
  }

  #press(event) {
    if (event.button) return;
    event.preventDefault();  // or a second click would select the page's text
    if (this.tool === "polygon") return this.#corner(event);
    this.canvas.setPointerCapture(event.pointerId);
    this.#step();
    this.last = this.#spot(event);
    this.#stroke(this.last, this.last);
    this.how.changed?.();
  }

  #move(event) {
    if (this.tool === "polygon" && this.corners.length) return this.#preview(this.#spot(event));
    if (!this.last) return;
    for (const each of event.getCoalescedEvents?.() ?? [event]) {
      const here = this.#spot(each);
      this.#stroke(this.last, here);
      this.last = here;
    }
  }

  #stroke(from, to) {
    const pen = this.pen;
    pen.globalCompositeOperation = this.tool === "eraser" ? "destination-out" : "source-over";
    pen.strokeStyle = this.how.colour();
    pen.lineWidth = this.how.width() * this.canvas.width / 512 + 1;
    pen.lineCap = pen.lineJoin = "round";
    pen.beginPath();
    pen.moveTo(...from);
    pen.lineTo(to[0] + 0.01, to[1]);
    pen.stroke();
    pen.globalCompositeOperation = "source-over";
  }

  #corner(event) {
    const spot = this.#spot(event);
    const scale = this.canvas.getBoundingClientRect().width / this.canvas.width;
    const first = this.corners[0];
    const near = first && Math.hypot(spot[0] - first[0], spot[1] - first[1]) * scale < NEAR;
    if (this.corners.length > 2 && (near || event.detail > 1)) return this.closePolygon();
    if (!this.corners.length) this.unfinished = this.#picture();
    this.corners.push(spot);
    this.#preview(spot);
  }

  #preview(spot) {
    this.pen.putImageData(this.unfinished, 0, 0);
    this.#outline([...this.corners, spot]);
    this.pen.strokeStyle = this.how.colour();
    this.pen.lineWidth = Math.max(1, this.canvas.width / 512);
    this.pen.stroke();
  }

  #outline(corners) {
    this.pen.globalCompositeOperation = "source-over";
    this.pen.beginPath();
    corners.forEach((each, n) => (n ? this.pen.lineTo(...each) : this.pen.moveTo(...each)));
    this.pen.closePath();
  }
}
