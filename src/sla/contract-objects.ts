import { type FieldPath, suggestion } from '../repository/field-path.js'
import type { ContractProblems } from './contract-problems.js'
import { hasForm } from './contract-schema.js'
import type { Place, SourceObject } from './contract-yaml.js'
import type { Kind, Metadata, Specs } from './openslo.js'

/** An object of a contract, on its own or written inside another, whose form has been checked. */
export interface Declared<Spec> {
  readonly source: SourceObject
  /** Where it begins in its source: empty, or as `spec.alertPolicies[0]`. */
  readonly base: FieldPath
  readonly metadata: Metadata
  readonly spec: Spec
}

/** All objects of a contract by kind and name, and the place for what is wrong with them. */
export class ContractObjects {
  readonly problems: ContractProblems
  /** Undefined where the form is wrong: its name is known all the same, so that references to it are not reported. */
  readonly #byKind = new Map<string, Map<string, Declared<unknown> | undefined>>()

  constructor(sources: readonly SourceObject[], problems: ContractProblems) {
    this.problems = problems
    for (const source of sources) this.#declare(source)
  }

  all<K extends Kind>(kind: K): Declared<Specs[K]>[] {
    const found = this.#byKind.get(kind)?.values() ?? []
    return [...found].filter((object) => object !== undefined) as Declared<Specs[K]>[]
  }

  /** Whether any object of the kind is there, well formed or not. */
  has(kind: Kind): boolean {
    return this.#byKind.has(kind)
  }

  /** The object that a field names; a problem, and undefined, where there is none. */
  find<K extends Kind>(
    kind: K,
    name: string,
    from: Declared<unknown>,
    path: FieldPath,
  ): Declared<Specs[K]> | undefined {
    const known = this.#byKind.get(kind)
    if (known?.has(name)) return known.get(name) as Declared<Specs[K]> | undefined
    const names = [...(known?.keys() ?? [])]
    const advice = names.length > 0 ? `The file has ${names.slice(0, 10).join(', ')}. Name one of them, or add` : 'Add'
    this.invalid(
      from,
      path,
      `there is no ${kind} "${name}" in this file${suggestion(name, names)}`,
      `${advice} a document of kind ${kind} with this name.`,
    )
    return undefined
  }

  placeOf(object: Declared<unknown>, path: FieldPath): Place {
    return object.source.placeOf([...object.base, ...path])
  }

  invalid(object: Declared<unknown>, path: FieldPath, message: string, fix: string): void {
    this.problems.add(this.placeOf(object, path), [...object.base, ...path], message, fix)
  }

  unsupported(object: Declared<unknown>, path: FieldPath, message: string, fix: string): void {
    this.problems.addUnsupported(this.placeOf(object, path), [...object.base, ...path], message, fix)
  }

  #declare(source: SourceObject): void {
    const wellFormed = !source.garbled && hasForm(source, this.problems)
    const value = source.value as { kind?: unknown; metadata?: { name?: unknown }; spec?: unknown } | null
    const kind = typeof value === 'object' ? value?.kind : undefined
    const name = value?.metadata?.name
    if (typeof kind !== 'string' || typeof name !== 'string') return
    const known = this.#byKind.get(kind) ?? new Map<string, Declared<unknown> | undefined>()
    this.#byKind.set(kind, known)
    if (known.has(name)) {
      const line = known.get(name)?.source.placeOf(['metadata', 'name']).line
      this.problems.add(
        source.placeOf(['metadata', 'name']),
        ['metadata', 'name'],
        `there is another ${kind} "${name}"${line === undefined ? '' : ` on line ${line}`}`,
        'Give each object of a kind a name of its own.',
      )
      return
    }
    const declared = { source, base: [], metadata: value?.metadata as Metadata, spec: value?.spec }
    known.set(name, wellFormed ? declared : undefined)
  }
}

/** An object that is written inside another one. */
export function inlined<Spec>(
  outer: Declared<unknown>,
  path: FieldPath,
  object: { metadata: Metadata; spec: Spec },
): Declared<Spec> {
  return { source: outer.source, base: [...outer.base, ...path], metadata: object.metadata, spec: object.spec }
}

/** subten's annotation of this name, without its prefix. */
export function annotation(object: Declared<unknown>, name: string): string | undefined {
  return object.metadata.annotations?.[`subten.dev/${name}`]
}

export const annotationPath = (name: string): FieldPath => ['metadata', 'annotations', `subten.dev/${name}`]
