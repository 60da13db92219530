import { SubtenError } from '../runtime/errors.js'
import type { Contract } from './types.js'

// Stand-in until the contract part is merged: it reads a Contract written as JSON.
export async function readContract(path: string): Promise<Contract> {
  const { readFile } = await import('node:fs/promises')
  return parseContract(await readFile(path, 'utf8'), path)
}

export function parseContract(text: string, file: string): Contract {
  try {
    return { ...(JSON.parse(text) as Contract), file }
  } catch (cause) {
    throw new SubtenError('CONFIG_INVALID', `${file} is no contract`, { cause })
  }
}
