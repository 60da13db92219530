import { type Document, isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseAllDocuments } from 'yaml'
import type { FieldPath } from '../repository/field-path.js'
import type { ContractProblems } from './contract-problems.js'
import { tooDeepAt } from './yaml-depth.js'

/** Line and column, both from 1. */
export interface Place {
  readonly line: number
  readonly column: number
}

/** One object of a contract file: plain data, and where each part of it stands. */
export interface SourceObject {
  readonly value: unknown
  readonly place: Place
  /** Problems of the YAML itself were found in it: its form is not worth a look. */
  readonly garbled: boolean
  /** Where a field stands: its key, or the item of a list; the nearest thing around it when it is not there. */
  placeOf(path: FieldPath): Place
}

/** A contract of a thousand objectives is far below these; what is above them is a mistake or an attack. */
export const MAX_BYTES = 256 * 1024
const MAX_VALUES = 20_000
const MAX_DEPTH = 32
/** Annotation keys have up to 253 + 1 + 63 characters; field paths are built from keys, so that one is bounded too. */
const MAX_KEY = 320

/** What the core schema knows; anything else would give values that no field takes. */
const PLAIN_TAGS = new Set(['str', 'int', 'float', 'bool', 'null', 'map', 'seq'].map((t) => `tag:yaml.org,2002:${t}`))

/**
 * The objects of a YAML file with several documents, each an object or a list of objects. YAML 1.2, core schema. Size,
 * depth and the number of values after aliases are bounded; tags, merge keys, double keys, keys that are no text and
 * aliases that contain themselves are problems with a line.
 */
export function readYaml(text: string, problems: ContractProblems): SourceObject[] {
  const start = { line: 1, column: 1 }
  if (text.length > MAX_BYTES) {
    problems.add(
      start,
      [],
      `a contract of more than ${MAX_BYTES / 1024} KiB is not read`,
      'Split it into several files.',
    )
    return []
  }
  const lines = new LineCounter()
  const placeAt = (offset: number): Place => {
    const { line, col } = lines.linePos(offset)
    return { line: Math.max(1, line), column: Math.max(1, col) }
  }
  const deep = tooDeepAt(text)
  if (deep !== undefined) {
    const before = text.slice(0, deep)
    const place = { line: before.split('\n').length, column: deep - before.lastIndexOf('\n') }
    problems.add(place, [], 'this YAML nests too deeply to be read', 'A contract is flat: nest less deeply.')
    return []
  }
  let documents: Document.Parsed[]
  try {
    // Double keys are found below: the parser's own search compares each key with each other.
    documents = parseAllDocuments(text, {
      lineCounter: lines,
      uniqueKeys: false,
      prettyErrors: false,
    }) as Document.Parsed[]
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    problems.add(start, [], 'this YAML nests too deeply to be read', `Nest at most ${MAX_DEPTH} levels.`)
    return []
  }
  const objects: SourceObject[] = []
  const budget = { values: MAX_VALUES }
  for (const document of documents) {
    // Warnings are about tags, which are problems of their own below.
    for (const { message, pos } of document.errors) {
      const sentence = message.split('\n')[0]?.slice(0, 200)
      problems.add(placeAt(pos[0]), [], `not readable as YAML: ${sentence}`, 'Correct the YAML at this line.')
    }
    if (document.errors.length > 0 || document.contents === null) continue
    const { yaml } = document.directives ?? {}
    if (yaml?.explicit && yaml.version !== '1.2') {
      problems.add(
        start,
        [],
        `this is YAML ${yaml.version}, in which values are read otherwise`,
        'Remove the %YAML line.',
      )
      continue
    }
    const root = document.contents as Node
    const reader = new TreeReader(placeAt, problems, budget)
    const items = isSeq(root) ? (root.items as Node[]) : [root]
    for (const item of items) {
      const object = reader.read(item)
      if (reader.gaveUp) return objects
      if (object !== undefined && object.value !== null) objects.push(object)
    }
  }
  return objects
}

/** The whole of a document, which its anchors hold through, as plain data with places. */
class TreeReader {
  readonly #placeAt: (offset: number) => Place
  readonly #problems: ContractProblems
  readonly #budget: { values: number }
  readonly #anchors = new Map<string, Node>()
  readonly #open = new Set<Node>()
  #places = new Map<string, Place>()
  gaveUp = false

  constructor(placeAt: (offset: number) => Place, problems: ContractProblems, budget: { values: number }) {
    this.#placeAt = placeAt
    this.#problems = problems
    this.#budget = budget
  }

  read(node: Node): SourceObject | undefined {
    this.#places = new Map()
    const before = this.#problems.count
    const value = this.#value(node, [], false)
    if (this.gaveUp) return undefined
    const place = this.#placeOf(node)
    return { value, place, garbled: this.#problems.count > before, placeOf: lookup(this.#places, place) }
  }

  #value(node: Node | null, path: FieldPath, copied: boolean): unknown {
    if (this.gaveUp) return undefined
    if (node === null) return null
    if (path.length > MAX_DEPTH) return this.#giveUp(node, path, `nests deeper than ${MAX_DEPTH} levels`)
    if (--this.#budget.values < 0) {
      return this.#giveUp(
        node,
        path,
        `the file has more than ${MAX_VALUES} values, those behind aliases counted each time`,
      )
    }
    const place = this.#placeOf(node)
    if (!this.#places.has(pointerOf(path))) this.#places.set(pointerOf(path), place)
    if (isAlias(node)) return this.#alias(node, path)
    // Within what an alias stands for, anchors have been seen: they must not be set back to their older values.
    if (!copied && 'anchor' in node && typeof node.anchor === 'string') this.#anchors.set(node.anchor, node)
    if (node.tag !== undefined && !PLAIN_TAGS.has(node.tag)) {
      this.#problems.add(place, path, `the tag ${node.tag.slice(0, 80)} is not read`, 'Write the value without a tag.')
      return undefined
    }
    if (isScalar(node)) return node.value
    this.#open.add(node)
    const value = isMap(node) ? this.#map(node.items, path, copied) : this.#list(node, path, copied)
    this.#open.delete(node)
    return value
  }

  #alias(node: Node & { source: string }, path: FieldPath): unknown {
    const target = this.#anchors.get(node.source)
    const place = this.#placeOf(node)
    if (target === undefined) {
      this.#problems.add(
        place,
        path,
        `there is no &${node.source} before *${node.source}`,
        'Set the anchor above its use.',
      )
      return undefined
    }
    if (this.#open.has(target)) {
      this.#problems.add(
        place,
        path,
        `*${node.source.slice(0, 80)} stands inside what it stands for`,
        'Write the value out.',
      )
      return undefined
    }
    return this.#value(target, path, true)
  }

  #map(pairs: readonly { key: unknown; value: unknown }[], path: FieldPath, copied: boolean): unknown {
    // No prototype: a key may be called __proto__ or constructor.
    const map: Record<string, unknown> = Object.create(null)
    for (const { key, value } of pairs) {
      const node = key as Node | null
      const name = isScalar(node) ? node.value : undefined
      const place = node === null ? undefined : this.#placeOf(node)
      if (typeof name !== 'string' || name.length > MAX_KEY) {
        const what = typeof name === 'string' ? `a key has more than ${MAX_KEY} characters` : 'a key is not text'
        this.#problems.add(place ?? this.#nearest(path), path, what, 'Write the key as plain, short text.')
        continue
      }
      const inner = [...path, name]
      if (name === '<<') {
        this.#problems.add(place ?? this.#nearest(path), path, 'merge keys (<<) are not read', 'Write the fields out.')
        continue
      }
      if (name in map) {
        this.#problems.add(place ?? this.#nearest(path), inner, 'is set twice', 'Keep one of the two.')
        continue
      }
      if (place !== undefined) this.#places.set(pointerOf(inner), place)
      map[name] = this.#value(value as Node | null, inner, copied)
    }
    return map
  }

  #list(node: Node, path: FieldPath, copied: boolean): unknown {
    if (!isSeq(node)) return undefined
    return node.items.map((item, index) => this.#value(item as Node | null, [...path, index], copied))
  }

  #giveUp(node: Node, path: FieldPath, why: string): undefined {
    this.#problems.add(
      this.#placeOf(node),
      path.slice(0, 4),
      why,
      'A contract is flat and small: write it out, or split it.',
    )
    this.gaveUp = true
    return undefined
  }

  #placeOf(node: Node): Place {
    return this.#placeAt(node.range?.[0] ?? 0)
  }

  #nearest(path: FieldPath): Place {
    return this.#places.get(pointerOf(path)) ?? { line: 1, column: 1 }
  }
}

function lookup(places: ReadonlyMap<string, Place>, root: Place): (path: FieldPath) => Place {
  return (path) => {
    for (let length = path.length; length > 0; length--) {
      const place = places.get(pointerOf(path.slice(0, length)))
      if (place !== undefined) return place
    }
    return root
  }
}

/** A JSON pointer (RFC 6901). */
function pointerOf(path: FieldPath): string {
  return path.map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')
}

/** The way a JSON pointer describes; what looks like a list index becomes a number. */
export function pathOfPointer(pointer: string): (string | number)[] {
  return pointer
    .split('/')
    .slice(1)
    .map((part) => (/^\d+$/.test(part) ? Number(part) : part.replaceAll('~1', '/').replaceAll('~0', '~')))
}
