import { SubtenError } from '../runtime/errors.js'

/** What is decoded. */
export type PictureFormat = 'png' | 'jpeg' | 'webp'

/** The format by its first bytes: what a client says of it is not asked. */
export function sniff(bytes: Uint8Array): PictureFormat | undefined {
  if (starts(bytes, 0, 0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a)) return 'png'
  if (starts(bytes, 0, 0xff, 0xd8, 0xff)) return 'jpeg'
  if (startsText(bytes, 0, 'RIFF') && startsText(bytes, 8, 'WEBP')) return 'webp'
  return undefined
}

/** INVALID_INPUT with HTTP's 415 for what is none of them, which says what it looks like. */
export function unknownFormat(bytes: Uint8Array): SubtenError {
  const looks = appearance(bytes)
  const found = looks === undefined ? '' : `: it looks like ${looks}`
  return new SubtenError('INVALID_INPUT', `the body is neither a PNG nor a JPEG nor a WebP picture${found}`, {
    remedy: 'Send the bytes of one PNG, JPEG or WebP file as the body.',
    details: { http: 415, ...(looks === undefined ? {} : { looksLike: looks }) },
  })
}

/** In words what the first bytes say; undefined where they say nothing that is known. */
function appearance(bytes: Uint8Array): string | undefined {
  if (startsText(bytes, 0, 'GIF8')) return 'a GIF'
  if (startsText(bytes, 4, 'ftyp')) return brandOf(bytes)
  if (starts(bytes, 0, 0x49, 0x49, 0x2a, 0x00) || starts(bytes, 0, 0x4d, 0x4d, 0x00, 0x2a)) return 'a TIFF'
  if (startsText(bytes, 0, '%PDF-')) return 'a PDF'
  if (startsText(bytes, 0, 'BM') && bytes.length > 26 && bytes[6] === 0 && bytes[7] === 0) return 'a BMP'
  if (starts(bytes, 0, 0xff, 0x0a) || starts(bytes, 0, 0x00, 0x00, 0x00, 0x0c, 0x4a, 0x58, 0x4c, 0x20)) {
    return 'a JPEG XL'
  }
  if (starts(bytes, 0, 0x00, 0x00, 0x00, 0x0c, 0x6a, 0x50, 0x20, 0x20)) return 'a JPEG 2000'
  if (starts(bytes, 0, 0x00, 0x00, 0x01, 0x00)) return 'an icon (ICO)'
  if (startsText(bytes, 0, 'PK\u0003\u0004')) return 'a zip'
  if (starts(bytes, 0, 0x1f, 0x8b)) return 'gzip'
  return textOf(bytes)
}

/** ISO base media files (HEIF, AVIF, MP4) say what they are by a brand. */
function brandOf(bytes: Uint8Array): string {
  const brand = String.fromCharCode(...bytes.subarray(8, 12))
  if (/^avi[fs]$/.test(brand)) return 'an AVIF'
  if (/^(?:hei|hev|mif|msf)/.test(brand)) return 'a HEIC'
  return 'a video (MP4)'
}

function textOf(bytes: Uint8Array): string | undefined {
  const head = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, 1024)).toString('utf8')
  const text = head.replace(/^\ufeff/, '').trimStart()
  if (/^(?:<\?xml|<!--|<!doctype\s+svg|<svg)/i.test(text) && /<svg[\s>]/i.test(text)) return 'an SVG'
  if (/^<(?:!doctype\s+html|html)/i.test(text)) return 'an HTML page'
  if (/^data:image\//i.test(text)) return 'a data URL: send the bytes that it stands for'
  if (/^\s*[{[]/.test(text) && isText(text)) return 'JSON'
  return text.length > 0 && isText(text) ? 'text' : undefined
}

/** Without control characters and without what was no UTF-8. */
function isText(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code === 0xfffd ? i < text.length - 1 : code < 32 && code !== 9 && code !== 10 && code !== 13) return false
  }
  return true
}

function starts(bytes: Uint8Array, at: number, ...magic: number[]): boolean {
  return magic.every((byte, i) => bytes[at + i] === byte)
}

function startsText(bytes: Uint8Array, at: number, magic: string): boolean {
  return starts(bytes, at, ...Buffer.from(magic, 'latin1'))
}
