/** Names that are safe as a directory, in a URL and in a metric label: letters, digits, ".", "_", "-". */
export function isModelName(name: string): boolean {
  return /^[A-Za-z0-9_.-]{1,255}$/.test(name) && name !== '.' && name !== '..'
}

/**
 * A relative path that leads nowhere but further in: no root, no `.` or `..`, no control characters. Links are a
 * question for the file system; see `contained-path.ts`.
 */
export function isInnerPath(path: string): boolean {
  if (path.length > 1024) return false
  return path.split('/').every((part) => {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what must be refused
    return part !== '' && part !== '.' && part !== '..' && !/[\\\u0000-\u001f\u007f]/.test(part)
  })
}
