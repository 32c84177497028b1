import jsQR from "jsqr";

/** A picture as a camera sees it: a byte for red, green and blue of each pixel. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly rgb: Uint8Array;
}

/** What a phone reads in a picture; undefined if it finds no QR code. */
export function readQr({ width, height, rgb }: Picture): string | undefined {
  const rgba = new Uint8ClampedArray(width * height * 4).fill(255);
  for (let pixel = 0; pixel < width * height; pixel++) {
    rgba.set(rgb.subarray(3 * pixel, 3 * pixel + 3), 4 * pixel);
  }
  // In the types its function is a property of the module; a CommonJS module is the function itself.
  const decode = ("default" in jsQR ? jsQR.default : jsQR) as unknown as typeof import("jsqr").default;
  return decode(rgba, width, height)?.data;
}

/** The lines as a VGA card shows them: characters of 9x16 pixels; all but the half blocks stay dark. */
export function pictureOf(lines: readonly string[], columns = 80): Picture {
  const [width, height] = [9 * columns, 16 * lines.length];
  const rgb = new Uint8Array(width * height * 3);
  for (const [row, line] of lines.entries()) {
    for (const [column, character] of [...line].entries()) {
      for (const [half, lit] of [/[\u2588\u2580]/.test(character), /[\u2588\u2584]/.test(character)].entries()) {
        for (let y = 0; lit && y < 8; y++) {
          const from = ((16 * row + 8 * half + y) * width + 9 * column) * 3;
          rgb.fill(170, from, from + 27);
        }
      }
    }
  }
  return { width, height, rgb };
}

/** A picture in the format of QEMU's screendump: netpbm's ppm(5), binary, one byte a colour. */
export function readPpm(bytes: Buffer): Picture {
  const header = /^P6\s+(\d+)\s+(\d+)\s+255\s/.exec(bytes.toString("latin1", 0, 64));
  if (header === null) throw new Error("this is no binary PPM picture");
  return { width: Number(header[1]), height: Number(header[2]), rgb: bytes.subarray(header[0].length) };
}
