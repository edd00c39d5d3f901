/** Pixels as a PNG, by the image codecs that Bun has built in. They read bitmaps, and write PNG. */

const HEADER_BYTES = 54;

/**
 * The bytes of a PNG of `width` by `height` pixels.
 *
 * @param rgba four bytes a pixel, rows from above to below; alpha is left out
 */
export async function encodePng(
  width: number,
  height: number,
  rgba: Uint8Array,
): Promise<Uint8Array> {
  return await new Bun.Image(bitmap(width, height, rgba)).png().bytes();
}

/** A Windows bitmap, BITMAPINFOHEADER: 24 bits a pixel, each row filled up to whole words. */
function bitmap(width: number, height: number, rgba: Uint8Array): Uint8Array<ArrayBuffer> {
  const stride = (3 * width + 3) & ~3;
  const bytes = new Uint8Array(HEADER_BYTES + stride * height);
  const view = new DataView(bytes.buffer);
  bytes.set([0x42, 0x4d]); // "BM"
  view.setUint32(2, bytes.length, true);
  view.setUint32(10, HEADER_BYTES, true);
  view.setUint32(14, HEADER_BYTES - 14, true);
  view.setInt32(18, width, true);
  view.setInt32(22, -height, true); // negative: from above to below
  view.setUint16(26, 1, true);
  view.setUint16(28, 24, true);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const from = 4 * (y * width + x);
      const to = HEADER_BYTES + y * stride + 3 * x;
      bytes[to] = rgba[from + 2]!;
      bytes[to + 1] = rgba[from + 1]!;
      bytes[to + 2] = rgba[from]!;
    }
  }
  return bytes;
}
