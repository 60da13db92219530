import { crc32 } from 'node:zlib'

/**
 * Records of the state file: `ff 53 4c 41`, the length of the payload and its CRC-32 (both 32 bits, little-endian; the
 * CRC is over the length and the payload), then the payload, JSON in UTF-8. The first byte occurs in no UTF-8 text, so the
 * beginning of a record is never found inside another one.
 */
const MAGIC = Buffer.from([0xff, 0x53, 0x4c, 0x41])
const HEAD = 12
/** Longer ones are not ours: a length that is wrong must not make the reader wait for the end of the file. */
const LONGEST = 256 * 1024 * 1024

export function encodeRecord(payload: unknown): Buffer {
  const text = Buffer.from(JSON.stringify(payload))
  const record = Buffer.allocUnsafe(HEAD + text.length)
  MAGIC.copy(record)
  record.writeUInt32LE(text.length, 4)
  text.copy(record, HEAD)
  record.writeUInt32LE(checksum(record.subarray(4, 8), text), 8)
  return record
}

export interface Decoded {
  readonly payloads: readonly unknown[]
  /** Where the last good record ends. */
  readonly end: number
  /** What was passed over, one sentence each; a torn end is the last of them. */
  readonly damage: readonly string[]
}

/** Every record that is whole. What is not is passed over up to the next one that is. */
export function decodeRecords(file: Buffer): Decoded {
  const payloads: unknown[] = []
  const damage: string[] = []
  let end = 0
  let at = 0
  while (at < file.length) {
    const record = wholeRecord(file, at)
    if (record !== undefined) {
      payloads.push(record.payload)
      at = end = record.end
      continue
    }
    let next = file.indexOf(MAGIC, at + 1)
    while (next >= 0 && wholeRecord(file, next) === undefined) next = file.indexOf(MAGIC, next + 1)
    if (next < 0) {
      damage.push(`the last ${file.length - at} bytes are no whole record`)
      break
    }
    damage.push(`${next - at} bytes at ${at} are no whole record`)
    at = next
  }
  return { payloads, end, damage }
}

function wholeRecord(file: Buffer, at: number): { payload: unknown; end: number } | undefined {
  if (file.length - at < HEAD || file.compare(MAGIC, 0, 4, at, at + 4) !== 0) return undefined
  const length = file.readUInt32LE(at + 4)
  const end = at + HEAD + length
  if (length > LONGEST || end > file.length) return undefined
  const text = file.subarray(at + HEAD, end)
  if (checksum(file.subarray(at + 4, at + 8), text) !== file.readUInt32LE(at + 8)) return undefined
  try {
    return { payload: JSON.parse(text.toString('utf8')) as unknown, end }
  } catch {
    return undefined
  }
}

function checksum(length: Buffer, text: Buffer): number {
  return crc32(text, crc32(length))
}
