/** What the header of a JPEG says, as far as it matters here (ITU-T T.81, annex B; EXIF 2.32, 4.5 to 4.6). */
export interface JpegHeader {
  readonly width: number
  readonly height: number
  /** 1: grey; 3: YCbCr or RGB; 4: CMYK. */
  readonly components: number
  /** Sequential, Huffman coded, 8 bits: what every camera and browser makes unless asked for more. */
  readonly baseline: boolean
  /** EXIF's, 1 (upright) where there is none. */
  readonly orientation: number
  /** Whether a colour profile is embedded that does not say it is sRGB's. */
  readonly profile: boolean
  /** Adobe's marker: what the colours are is then not for JFIF to say. */
  readonly adobe: boolean
}

const SOF0 = 0xc0
const SOF1 = 0xc1
const DHT = 0xc4
const JPG = 0xc8
const DAC = 0xcc
const SOF15 = 0xcf
const SOS = 0xda
const APP1 = 0xe1
const APP2 = 0xe2
const APP14 = 0xee
/** Four letters as a number. */
const DESC = 0x64657363
const MLUC = 0x6d6c7563
/** `ICC_PROFILE`, a zero, the number of the segment and of all. */
const ICC_HEAD = 14
/** EXIF's tag 0x0112. */
const ORIENTATION = 0x0112

/** The header, up to the first scan; undefined where it is cut off or is none. */
export function jpegHeader(bytes: Uint8Array): JpegHeader | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const found = { orientation: 1, profile: false, adobe: false }
  let frame: Pick<JpegHeader, 'width' | 'height' | 'components' | 'baseline'> | undefined
  let at = 2
  while (at + 4 <= bytes.length) {
    if (bytes[at] !== 0xff) return undefined
    const marker = bytes[at + 1] as number
    if (marker === 0xff) {
      at++ // a fill byte
      continue
    }
    const length = view.getUint16(at + 2)
    const start = at + 4
    const end = at + 2 + length
    if (length < 2 || end > bytes.length) return undefined
    if (marker === SOS) return frame && { ...frame, ...found }
    if (isFrame(marker)) {
      // Two frames belong to a hierarchical picture.
      if (frame || length < 8) return undefined
      frame = {
        height: view.getUint16(start + 1),
        width: view.getUint16(start + 3),
        components: bytes[start + 5] as number,
        baseline: (marker === SOF0 || marker === SOF1) && bytes[start] === 8,
      }
    } else if (marker === APP1 && text(bytes, start, 'Exif\0\0', end)) {
      found.orientation = exifOrientation(view, start + 6, end)
    } else if (marker === APP2 && text(bytes, start, 'ICC_PROFILE\0', end)) {
      found.profile ||= !saysSrgb(view, start + ICC_HEAD, end)
    } else if (marker === APP14 && text(bytes, start, 'Adobe', end)) {
      found.adobe = true
    }
    at = end
  }
  return undefined
}

function isFrame(marker: number): boolean {
  return marker >= SOF0 && marker <= SOF15 && marker !== DHT && marker !== JPG && marker !== DAC
}

/** 1 to 8; 0 for what cannot be read. */
function exifOrientation(view: DataView, tiff: number, end: number): number {
  if (tiff + 8 > end) return 0
  const order = view.getUint16(tiff)
  if (order !== 0x4949 && order !== 0x4d4d) return 0
  const little = order === 0x4949
  const directory = tiff + view.getUint32(tiff + 4, little)
  if (directory + 2 > end) return 0
  const entries = view.getUint16(directory, little)
  for (let i = 0; i < entries; i++) {
    const entry = directory + 2 + 12 * i
    if (entry + 12 > end) return 0
    if (view.getUint16(entry, little) !== ORIENTATION) continue
    const value = view.getUint16(entry + 8, little)
    return value >= 1 && value <= 8 ? value : 0
  }
  return 1
}

/**
 * Whether an ICC profile (ICC.1:2010, 7.2 to 7.3, 10.15; `desc` of version 2) has a description that begins with sRGB, as
 * cameras, browsers and editors write it. One that goes on in further segments, or cannot be read, does not.
 */
function saysSrgb(view: DataView, start: number, end: number): boolean {
  if (start + 132 > end || view.getUint32(start) !== end - start) return false
  const tags = Math.min(view.getUint32(start + 128), 100)
  for (let i = 0; i < tags; i++) {
    const tag = start + 132 + 12 * i
    if (tag + 12 > end) return false
    if (view.getUint32(tag) !== DESC) continue
    const at = start + view.getUint32(tag + 4)
    if (at + 32 > end) return false
    const type = view.getUint32(at)
    if (type === DESC) return spells(view, at + 12, 1, end)
    return type === MLUC && spells(view, at + view.getUint32(at + 24) + 1, 2, end)
  }
  return false
}

function spells(view: DataView, at: number, step: number, end: number): boolean {
  if (at + 4 * step > end) return false
  return [...'sRGB'].every((letter, i) => view.getUint8(at + i * step) === letter.charCodeAt(0))
}

function text(bytes: Uint8Array, at: number, word: string, end: number): boolean {
  if (at + word.length > end) return false
  for (let i = 0; i < word.length; i++) if (bytes[at + i] !== word.charCodeAt(i)) return false
  return true
}
