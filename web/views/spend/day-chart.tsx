import { useLayoutEffect, useRef, useState } from "react";
import { exactMoneyWords, moneyWords } from "../../state/money-words.ts";
import { axisEnd, type SpentDay } from "../../state/spend-sums.ts";
import styles from "./spend.module.css";

const HEIGHT = 220;
const LEFT = 60;
const RIGHT = 6;
const BOTTOM = 24;
const TOP = 10;

interface DayChartProps {
  /** `November 2026`. */
  readonly month: string;
  readonly currency: string;
  readonly days: readonly SpentDay[];
}

/**
 * A month by day: a bar for what was charged, and on it, hatched, what is at risk. Drawn here and not by a library: the page's
 * content policy allows no styles that a script writes into the document, as chart libraries do, and 31 bars need none.
 */
export function DayChart({ month, currency, days }: DayChartProps) {
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(640);
  useLayoutEffect(() => {
    const element = box.current;
    if (element === null) return;
    const observer = new ResizeObserver(() => setWidth(Math.max(240, element.clientWidth)));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  const end = axisEnd(Math.max(...days.map(({ charged, atRisk }) => charged + atRisk)));
  const step = (width - LEFT - RIGHT) / days.length;
  const y = (amount: number) => TOP + (1 - amount / end) * (HEIGHT - TOP - BOTTOM);
  const labelled = step < 16 ? [1, 10, 20, 30] : [1, 5, 10, 15, 20, 25, 30];
  return (
    <div ref={box} className={styles.chart}>
      <svg width={width} height={HEIGHT} role="img" aria-label={summaryOf(month, currency, days)}>
        <defs>
          <pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
            <rect className={styles.risk} width="3" height="6" />
          </pattern>
        </defs>
        {[0, end / 2, end].map((amount) => (
          <g key={amount}>
            <line className={styles.grid} x1={LEFT} x2={width} y1={y(amount)} y2={y(amount)} />
            <text className={styles.mark} x={LEFT - 8} y={y(amount) + 4} textAnchor="end">
              {moneyWords(amount, currency)}
            </text>
          </g>
        ))}
        {days.map(({ day, charged, atRisk, images }) => {
          const x = LEFT + (day - 1) * step;
          const bar = { x: x + step * 0.12, width: step * 0.76 };
          return (
            <g key={day} className={styles.day}>
              <rect className={styles.hit} x={x} width={step} y={TOP} height={HEIGHT - TOP - BOTTOM} />
              <rect className={styles.charged} {...bar} y={y(charged)} height={y(0) - y(charged)} />
              <rect fill="url(#hatch)" {...bar} y={y(charged + atRisk)} height={y(charged) - y(charged + atRisk)} />
              {labelled.includes(day) && (
                <text className={styles.mark} x={x + step / 2} y={HEIGHT - 6} textAnchor="middle">
                  {day}
                </text>
              )}
              <title>
                {`${day} ${month}: ${exactMoneyWords(charged, currency)} charged${atRisk > 0 ? `, ${exactMoneyWords(atRisk, currency)} at risk` : ""}, ${images} images`}
              </title>
            </g>
          );
        })}
      </svg>
    </div>
  );
}

/** The chart in a sentence, for screen readers; the table below has every day. */
function summaryOf(month: string, currency: string, days: readonly SpentDay[]): string {
  const spent = days.filter(({ charged, atRisk }) => charged + atRisk > 0);
  const most = spent.toSorted((a, b) => b.charged - a.charged)[0];
  if (most === undefined) return `Spent by day in ${month}: nothing.`;
  const count = spent.length === 1 ? "one day" : `${spent.length} days`;
  return `Spent by day in ${month}: on ${count}, the most on the ${most.day}. with ${exactMoneyWords(most.charged, currency)}.`;
}
