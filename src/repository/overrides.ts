import { type ConfigDocument, type ConfigFields, configError } from './config-document.js'
import type { FieldPath } from './field-path.js'
import { toWritten } from './plain.js'
import { type MessageInfo, messageInfo } from './reflection.js'
import type { Written } from './schema-types.js'

/**
 * Settings given to `load` beside the file: every config.pbtxt setting by its own name, parameters as strings, numbers
 * or booleans. `null` takes a setting of the file away.
 */
export type ConfigOverrides = {
  [K in keyof ConfigFields]?: K extends 'parameters'
    ? Readonly<Record<string, string | number | boolean | null | Written<'ModelParameter'>>> | null
    : ConfigFields[K] | null
}

type Plain = Record<string, unknown>

/** Whether an option of `load` is a config.pbtxt setting. */
export function isConfigField(name: string): boolean {
  return messageInfo('ModelConfig').fields.has(name)
}

/**
 * Lays overrides over the settings of a file: messages and maps are merged, lists and scalars replaced, and choosing
 * one member of a choice (`dynamic_batching` over `sequence_batching`) takes the other away.
 * @throws SubtenError CONFIG_INVALID with the field: unknown, wrong type
 */
export function applyOverrides(document: ConfigDocument, overrides: ConfigOverrides): ConfigDocument {
  const checked = toWritten('ModelConfig', overrides, (path, problem) => {
    throw configError({}, path, problem)
  }) as Plain
  const fields = merge(messageInfo('ModelConfig'), document.fields as Plain, checked) as ConfigFields
  return {
    fields,
    file: document.file,
    origin: (path) => (isOverridden(checked, path) ? {} : document.origin(path)),
  }
}

function merge(info: MessageInfo, base: Plain, over: Plain): Plain {
  const merged: Plain = { ...base }
  for (const [name, value] of Object.entries(over)) {
    const field = info.fields.get(name)
    if (field === undefined) continue
    if (field.choice !== undefined && value !== null) {
      for (const other of info.fields.values()) {
        if (other.choice === field.choice && other.name !== name) delete merged[other.name]
      }
    }
    if (value === null) {
      delete merged[name]
    } else if (field.kind === 'single' && field.message) {
      merged[name] = merge(field.message, (base[name] ?? {}) as Plain, value as Plain)
    } else if (field.kind === 'map') {
      const map: Plain = Object.assign(Object.create(null), base[name])
      for (const [key, item] of Object.entries(value as Plain)) {
        if (item === null) delete map[key]
        else if (field.message) map[key] = merge(field.message, (map[key] ?? {}) as Plain, item as Plain)
        else map[key] = item
      }
      merged[name] = map
    } else if (field.kind === 'list' && field.message) {
      const item = field.message
      merged[name] = (value as Plain[]).map((element) => merge(item, {}, element))
    } else {
      merged[name] = value
    }
  }
  return merged
}

/** Lists are replaced as a whole, so everything in one of the options comes from there. */
function isOverridden(overrides: Plain, path: FieldPath): boolean {
  let value: unknown = overrides
  for (const part of path) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return true
    if (!Object.hasOwn(value, part)) return false
    value = (value as Plain)[part]
  }
  return path.length > 0
}
