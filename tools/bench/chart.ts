/** Bars as SVG: no library, no script, readable in light and dark. */
export interface Bar {
  readonly label: string;
  readonly value: number;
  /** What stands behind the bar. */
  readonly text: string;
  readonly strong: boolean;
}

const WIDTH = 760;
const LABEL = 250;
const ROW = 30;
const TOP = 56;
const FONT = 'font-family="system-ui, sans-serif" font-size="13"';

/** A title, a line under it, and one bar a row; the longest fills the width. */
export function barChart(title: string, subtitle: string, bars: readonly Bar[]): string {
  const most = Math.max(...bars.map(({ value }) => value), 1e-9);
  const room = WIDTH - LABEL - 150;
  const rows = bars.map(({ label, value, text, strong }, row) => {
    const y = TOP + row * ROW;
    const width = Math.max(2, Math.round((value / most) * room));
    const fill = strong ? "#0a7d5a" : "#8a94a6";
    return [
      `<text x="${LABEL - 10}" y="${y + 15}" text-anchor="end">${escape(label)}</text>`,
      `<rect x="${LABEL}" y="${y}" width="${width}" height="20" rx="3" fill="${fill}"/>`,
      `<text x="${LABEL + width + 8}" y="${y + 15}">${escape(text)}</text>`,
    ].join("");
  });
  const height = TOP + bars.length * ROW + 8;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" ${FONT} role="img" aria-label="${
    escape(title)
  }">
<rect width="100%" height="100%" fill="#ffffff"/>
<g fill="#1c2330"><text x="16" y="24" font-size="16" font-weight="600">${
    escape(title)
  }</text><text x="16" y="43" fill="#5b6575">${escape(subtitle)}</text>
${rows.join("\n")}
</g></svg>
`;
}

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
