// Tables as CSV that a spreadsheet opens: narrowsCsv(rows) takes rows of texts. What is wholly a number stands as it is;
// all else is in quotation marks, with an apostrophe before what would be taken for a formula, as
// narrows/production/spreadsheet.py has it.
"use strict";
(() => {
  const starts = /^[\x00-\x20\x7f-\xa0'\u1680\u2000-\u200f\u2028-\u202f\u205f\u2060\u3000\ufeff]*[=+\-@\uff1d\uff0b\uff0d\uff20][\s\S]/;
  const number = "[+-]?(?:[0-9][0-9,]*\\.?[0-9]*|\\.[0-9]+)(?:[eE][+-]?[0-9]+)?%?";
  const numbers = new RegExp(`^${number}(?: ± ${number})?$`);
  const cell = (text) => {
    if (numbers.test(text) && !text.includes(",")) return text;
    const plain = starts.test(text) && !numbers.test(text) ? "'" + text : text;
    return `"${plain.replaceAll('"', '""')}"`;
  };
  globalThis.narrowsCsv = (rows) => rows.map((row) => row.map((value) => cell(String(value))).join(",")).join("\n") + "\n";
})();
