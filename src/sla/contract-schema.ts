import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv'
import schema from '../../schemas/sla.schema.json' with { type: 'json' }
import { type FieldPath, suggestion } from '../repository/field-path.js'
import type { ContractProblems } from './contract-problems.js'
import { pathOfPointer, type SourceObject } from './contract-yaml.js'

/** The JSON Schema of contracts, draft 7; the same as `schemas/sla.schema.json` of the package. */
export const contractSchema: Readonly<Record<string, unknown>> = schema

/** What stands under `metricSource.spec`, for sources whose type a DataSource gives. */
export type SpecName = 'subtenGood' | 'subtenTotal' | 'subtenThreshold'

let ajv: Ajv | undefined
let validate: ValidateFunction | undefined

/** Compiled on first use: that takes a tenth of a second. */
function compiled(): { ajv: Ajv; validate: ValidateFunction } {
  ajv ??= new Ajv({ allErrors: true, verbose: true, allowUnionTypes: true })
  validate ??= ajv.compile(schema)
  return { ajv, validate }
}

/** Whether an object of a contract has the form that its kind asks for; what is wrong is added to the problems. */
export function hasForm(object: SourceObject, problems: ContractProblems): boolean {
  const { validate } = compiled()
  if (validate(object.value)) return true
  report(object, [], validate.errors ?? [], problems)
  return false
}

/** The same for one `metricSource.spec`, which stands at `path`. */
export function specHasForm(
  object: SourceObject,
  path: FieldPath,
  spec: unknown,
  name: SpecName,
  problems: ContractProblems,
): boolean {
  const check = compiled().ajv.getSchema(`${schema.$id}#/definitions/${name}`)
  if (check === undefined) throw new Error(`the schema has no definition ${name}`)
  if (check(spec)) return true
  report(object, path, check.errors ?? [], problems)
  return false
}

function report(
  object: SourceObject,
  base: FieldPath,
  errors: readonly ErrorObject[],
  problems: ContractProblems,
): void {
  for (const error of errors) {
    const told = sentence(error)
    if (told === undefined) continue
    const path = [...base, ...pathOfPointer(error.instancePath), ...told.within]
    // In a list of documents a field path begins in its own object: the place is looked up with the same path.
    problems.add(object.placeOf(path), path, told.message, told.fix)
  }
}

interface Told {
  readonly within: FieldPath
  readonly message: string
  readonly fix: string
}

/** What an error of the validator says to people; undefined for one that only repeats what others say. */
function sentence(error: ErrorObject): Told | undefined {
  const { keyword, params, data } = error
  const parent = (error.parentSchema ?? {}) as { description?: string; $comment?: string; properties?: object }
  const what = parent.description ?? ''
  const fix = what === '' ? 'Correct the value.' : `Expected: ${lowerFirst(what)}`
  const told = (message: string, otherFix = fix, within: FieldPath = []): Told => ({ within, message, fix: otherFix })
  // Parts of a choice that was not met: the choice itself speaks.
  if (/\/(propertyNames\/anyOf|oneOf\/\d+)\//.test(error.schemaPath)) return undefined
  switch (keyword) {
    case 'if':
    case 'anyOf':
      return undefined
    case 'required': {
      const name = String(params.missingProperty)
      const goes = parent.$comment === undefined ? '' : ` (${parent.$comment})`
      return told(`${name} is missing${goes}`, `Add ${name}. ${describe(parent.properties ?? {}, name)}`.trim())
    }
    case 'additionalProperties': {
      const name = String(params.additionalProperty)
      const known = Object.keys(parent.properties ?? {})
      return told(
        `is not a field here${suggestion(name, known)}`,
        known.length > 0 ? `The fields are ${known.join(', ')}.` : 'Remove it.',
        [name],
      )
    }
    case 'propertyNames': {
      const name = String(params.propertyName)
      const known = ((error.schema as { anyOf?: { enum?: string[] }[] }).anyOf ?? []).flatMap((part) => part.enum ?? [])
      const fixed = known.length > 0 ? `Here there are ${known.join(', ')}.` : 'On this kind of object there are none.'
      return told(`is no annotation of subten's${suggestion(name, known)}`, fixed, [name])
    }
    case 'false schema':
      return told('does not go with this indicator', 'Remove it, or take another indicator.')
    case 'oneOf':
      return told(
        `${parent.$comment ?? 'exactly one form'} must be given`,
        params.passingSchemas === null ? 'Add one of them.' : 'Keep one of them.',
      )
    case 'const':
      return told(`is ${shown(data)} and must be ${shown(params.allowedValue)}`, `Write ${shown(params.allowedValue)}.`)
    case 'enum': {
      const allowed = (params.allowedValues as unknown[]).map(String)
      const near = typeof data === 'string' ? suggestion(data, allowed) : ''
      return told(`${shown(data)} is none of ${allowed.join(', ')}${near}`)
    }
    case 'type': {
      const wanted = [params.type].flat().join(' or ')
      const quotes = error.instancePath.includes('/annotations/') && typeof data !== 'object'
      return told(
        `is ${kindOf(data)} and must be ${TYPE_NAMES[wanted] ?? wanted}`,
        quotes ? 'Put it in quotes: annotations are text.' : fix,
      )
    }
    case 'exclusiveMaximum':
    case 'maximum':
    case 'exclusiveMinimum':
    case 'minimum':
      return told(`${shown(data)} must be ${params.comparison} ${params.limit}${rangeAdvice(error)}`)
    case 'pattern':
      return told(`${shown(data)} is not of this form`)
    case 'maxLength':
      return told(`has more than ${params.limit} characters`)
    case 'minLength':
      return told('is empty')
    case 'maxItems':
      return told(`has more than ${params.limit} item${params.limit === 1 ? '' : 's'}`)
    case 'minItems':
      return told('is an empty list')
    default:
      return told(error.message ?? 'is not valid')
  }
}

/** The slips that are made most often with targets. */
function rangeAdvice({ instancePath, data }: ErrorObject): string {
  if (instancePath.endsWith('/target') && data === 1)
    return ': 1 leaves no error budget, so that every burn rate is infinite'
  if (instancePath.endsWith('/target') && typeof data === 'number' && data > 1 && data < 100) {
    return `: ${data} % is target: ${Number((data / 100).toPrecision(12))} or targetPercent: ${data}`
  }
  if (instancePath.endsWith('/targetPercent') && data === 100) return ': 100 leaves no error budget'
  return ''
}

const TYPE_NAMES: Readonly<Record<string, string>> = {
  object: 'an object',
  string: 'text',
  number: 'a number',
  boolean: 'true or false',
  array: 'a list',
  'array or null': 'a list',
  'number or string': 'a number or text',
  'string or array': 'text or a list of text',
}

function kindOf(value: unknown): string {
  if (value === null) return 'empty'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object') return 'an object'
  return typeof value === 'string' ? `the text ${shown(value)}` : shown(value)
}

function shown(value: unknown): string {
  if (value === null) return 'nothing'
  if (typeof value === 'object') return Array.isArray(value) ? 'a list' : 'an object'
  // Passwords of addresses stay out of logs.
  const text = typeof value === 'string' ? JSON.stringify(value.replace(/\/\/[^/]*@/g, '//…@')) : String(value)
  return text.length > 80 ? `${text.slice(0, 77)}…` : text
}

/** What a field is, by the schema around it or, for the fields of an indicator, by the list of those. */
function describe(properties: object, name: string): string {
  type Described = Record<string, { description?: string; $ref?: string } | undefined>
  const definitions = schema.definitions as Described
  const found = (properties as Described)[name] ?? (schema.definitions.subtenGood.properties as Described)[name]
  const text = found?.description ?? definitions[found?.$ref?.replace('#/definitions/', '') ?? '']?.description
  return text === undefined ? '' : `Expected: ${lowerFirst(text)}`
}

function lowerFirst(text: string): string {
  return /^[A-Z][a-z]/.test(text) && !/^(Occurrences|Timeslices)/.test(text)
    ? text[0]?.toLowerCase() + text.slice(1)
    : text
}
