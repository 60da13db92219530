import { SubtenError } from '../runtime/errors.js'
import { type FieldPath, formatPath } from './field-path.js'
import type { Written } from './schema-types.js'

/** The settings as written: only what a file, the options or the model gave. */
export type ConfigFields = Written<'ModelConfig'>

/** Where a setting was written. No line: it comes from the options, or was completed from the model. */
export interface Origin {
  readonly file?: string
  /** 1-based. */
  readonly line?: number
}

/** The written settings of one model, and where each of them stands. Never changed once made. */
export interface ConfigDocument {
  readonly fields: ConfigFields
  /** The config.pbtxt it was read from; undefined where there is none. */
  readonly file?: string
  /** Where a setting, or the nearest thing around it, was written. */
  origin(path: FieldPath): Origin
}

/** The settings of a model that has no config.pbtxt. */
export function emptyConfig(): ConfigDocument {
  return { fields: {}, origin: () => ({}) }
}

/** A CONFIG_INVALID whose message begins with file, line and field, and whose `details` hold them. */
export function configError(
  origin: Origin,
  path: FieldPath,
  problem: string,
  options: { remedy?: string; cause?: unknown } = {},
): SubtenError {
  const field = formatPath(path)
  const place = origin.file === undefined ? 'options' : origin.line ? `${origin.file}:${origin.line}` : origin.file
  return new SubtenError('CONFIG_INVALID', `${place}: ${field === '' ? '' : `${field}: `}${problem}`, {
    ...options,
    details: { file: origin.file, line: origin.line, field },
  })
}

/** A CONFIG_INVALID about a setting of a document. */
export function documentError(
  document: ConfigDocument,
  path: FieldPath,
  problem: string,
  remedy?: string,
): SubtenError {
  return configError(document.origin(path), path, problem, remedy === undefined ? {} : { remedy })
}
