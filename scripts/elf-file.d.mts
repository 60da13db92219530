/** The names in DT_NEEDED, in their order, and the SONAME if there is one. */
export function needsOf(image: Buffer): { needed: string[]; soname: string | undefined }

/** The names of the defined dynamic symbols that are visible to others. */
export function exportsOf(image: Buffer): string[]

/** The processor, by Node's name for it ('x64', 'arm64'), or the number of the format. */
export function machineOf(image: Buffer): string

/** The folders that the file tells the loader to search (DT_RPATH, DT_RUNPATH). */
export function searchPathsOf(image: Buffer): string[]

/** The names of all sections. */
export function sectionNamesOf(image: Buffer): string[]

/** What the file wants of others. */
export function importsOf(
  image: Buffer,
): { name: string; weak: boolean; version: string | undefined; library: string | undefined }[]

/** The versions that the file needs of its libraries. */
export function neededVersionsOf(image: Buffer): { library: string; version: string; index: number }[]
