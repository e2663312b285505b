/** Text in XML 1.0: what its `Char` production leaves out is replaced, what marks it up is escaped. */

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const NOT_XML = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|\p{Surrogate}/gu
const MARKUP: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&apos;',
  '\t': '&#9;',
  '\n': '&#10;',
  '\r': '&#13;',
}

export function xml(text: string): string {
  if (/^[\w .:/,+-]*$/.test(text)) return text
  return text.replace(NOT_XML, '\ufffd').replace(/[&<>"'\t\n\r]/g, (found) => MARKUP[found] as string)
}
