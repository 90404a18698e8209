import { type ReactNode, useState } from "react";
import type { BudgetReport, Usage } from "../../../schemas/usage.ts";
import { Button } from "../../components/button.tsx";
import field from "../../components/field.module.css";
import { useArrival } from "../../components/focus.ts";
import { Icon } from "../../components/icon.tsx";
import { LoadFailure } from "../../components/load-failure.tsx";
import { useIdentity } from "../../data/access.ts";
import { useLimits } from "../../data/limits.ts";
import { useIsOperator } from "../../data/operator.ts";
import { saveUsage, thisMonth, useUsage } from "../../data/usage.ts";
import { failureWords } from "../../state/failure-words.ts";
import { exactMoneyWords, moneyWords, resetWords, usedOf, usedWords } from "../../state/money-words.ts";
import { daysOfMonth, monthAfter, type SpentDay, totalsOf } from "../../state/spend-sums.ts";
import { DayChart } from "./day-chart.tsx";
import styles from "./spend.module.css";

/** Months before this one that the service keeps. */
const MONTHS_KEPT = 13;

/** The spend of a month by day, by client and model, against the limit. */
export default function Spend() {
  const heading = useArrival("Spend");
  const now = thisMonth();
  const [month, setMonth] = useState(now);
  const [client, setClient] = useState<string | null>(null);
  const [saving, setSaving] = useState(false);
  const { usage, failure, again } = useUsage({ month, client });
  const save = async () => {
    setSaving(true);
    await saveUsage({ month, client });
    setSaving(false);
  };
  return (
    <>
      <header className={styles.head}>
        <h1 tabIndex={-1} ref={heading}>
          Spend
        </h1>
        <p>What images cost by the model's price. Days and months are of UTC; deleted jobs stay in the sums.</p>
      </header>
      <div className={styles.tools}>
        <Button
          look="quiet"
          idle={month <= monthAfter(now, -MONTHS_KEPT)}
          onClick={() => setMonth(monthAfter(month, -1))}
          aria-label="Month before"
        >
          <Icon name="back" />
        </Button>
        <h2 className={styles.month} aria-live="polite">
          {monthWords(month)}
        </h2>
        <Button
          look="quiet"
          idle={month >= now}
          onClick={() => setMonth(monthAfter(month, 1))}
          aria-label="Month after"
        >
          <Icon name="forth" />
        </Button>
        <ClientChoice client={client} onChange={setClient} />
        <Button busy={saving} onClick={save}>
          <Icon name="download" /> Export CSV
        </Button>
      </div>
      {usage === null && failure !== null ? (
        <LoadFailure what="The spend" error={failure} onAgain={again} />
      ) : usage === null ? (
        <div role="status" className={styles.ghost}>
          <span className="unseen">Loading the spend</span>
        </div>
      ) : (
        <>
          {failure !== null && (
            <p role="status" className={styles.old}>
              {`These numbers are old: new ones could not be loaded. ${failureWords(failure).title}.`}
            </p>
          )}
          <Month usage={usage} month={month} isNow={month === now} />
        </>
      )}
    </>
  );
}

function ClientChoice({
  client,
  onChange,
}: {
  readonly client: string | null;
  readonly onChange: (client: string | null) => void;
}) {
  const clients = [...(useIdentity()?.clients ?? [])].sort();
  if (!useIsOperator()) return null;
  return (
    <select
      className={`${field.control} ${styles.client}`}
      aria-label="Client"
      value={client ?? ""}
      onChange={({ target }) => onChange(target.value || null)}
    >
      <option value="">All clients</option>
      {clients.map((name) => (
        <option key={name} value={name}>
          {name}
        </option>
      ))}
    </select>
  );
}

interface MonthProps {
  readonly usage: Usage;
  readonly month: string;
  readonly isNow: boolean;
}

function Month({ usage, month, isNow }: MonthProps) {
  const { currency, buckets, budgets } = usage;
  const days = daysOfMonth(month, buckets);
  const { all } = totalsOf(buckets);
  const words = (amount: number) => exactMoneyWords(amount, currency);
  return (
    <div className={styles.body}>
      <dl className={styles.sums}>
        <Sum term="Charged">{words(all.charged)}</Sum>
        <Sum term="At risk">{words(all.atRisk)}</Sum>
        <Sum term="Images">{all.images}</Sum>
        <Sum term="Jobs">{all.jobs}</Sum>
      </dl>
      <p className={styles.explanation}>
        {all.atRisk === 0
          ? "Nothing is at risk: no attempt of this month ended without an answer that upstream may have billed."
          : `At risk are attempts that ended without an answer: upstream may have made and billed their images. Its bill lies between ${words(all.charged)} and ${words(all.charged + all.atRisk)}. Images of models whose price is not known are not in it.`}
      </p>
      {isNow && <Limits budgets={budgets} currency={currency} />}
      <section aria-labelledby="by-day" className={styles.panel}>
        <header>
          <h3 id="by-day">By day</h3>
          <p className={styles.legend}>
            <span data-kind="charged" /> charged <span data-kind="risk" /> at risk
          </p>
        </header>
        <DayChart month={monthWords(month)} currency={currency} days={days} />
        <details>
          <summary>As a table</summary>
          <Days days={days} month={month} words={words} />
        </details>
      </section>
      <section aria-labelledby="by-model" className={styles.panel}>
        <h3 id="by-model">By client and model</h3>
        <Models usage={usage} words={words} />
      </section>
    </div>
  );
}

function Sum({ term, children }: { readonly term: string; readonly children: ReactNode }) {
  return (
    <div>
      <dt>{term}</dt>
      <dd>{children}</dd>
    </div>
  );
}

/** The month's limits, the one that is used most first. */
function Limits({ budgets, currency }: Pick<Usage, "budgets" | "currency">) {
  const share = (budget: BudgetReport) => usedOf(budget) / budget.limit;
  const sorted = budgets.toSorted((a, b) => share(b) - share(a));
  return (
    <section aria-labelledby="limits" className={styles.panel}>
      <h3 id="limits">Limit of this month</h3>
      {sorted.length === 0 && (
        <p className={styles.explanation}>
          No spend limit is set. The operator sets one for a client, or for everyone, in <code>CLIENT_BUDGETS</code>.
        </p>
      )}
      {sorted.map((budget) => (
        <Limit key={budget.client} budget={budget} currency={currency} named={sorted.length > 1} />
      ))}
    </section>
  );
}

interface LimitProps {
  readonly budget: BudgetReport;
  readonly currency: string;
  /** Whether it names its client. */
  readonly named: boolean;
}

function Limit({ budget, currency, named }: LimitProps) {
  const { client, limit, alertAt, charged, reserved, atRisk, resetsAt } = budget;
  const used = usedOf(budget);
  const isNear = used >= alertAt * limit;
  const share = (amount: number) => ({ "--share": limit === 0 ? 1 : Math.min(1, amount / limit) });
  return (
    <div className={styles.limit} data-near={isNear || undefined}>
      {named && <h4>{client}</h4>}
      <div className={styles.meter} aria-hidden="true">
        <span data-kind="charged" style={share(charged)} />
        <span data-kind="reserved" style={share(reserved)} />
        <span data-kind="risk" style={share(atRisk)} />
      </div>
      {isNear && (
        <p className={styles.near} role="status">
          <Icon name="failed" />
          {used >= limit ? "The limit is reached." : `At least ${Math.round(alertAt * 100)} % of the limit is used.`}
        </p>
      )}
      <p>{`${usedWords({ ...budget, currency })}. It starts again on ${resetWords(resetsAt)}.`}</p>
    </div>
  );
}

interface TableProps {
  readonly words: (amount: number) => string;
}

function Days({ days, month, words }: TableProps & { readonly days: readonly SpentDay[]; readonly month: string }) {
  const spent = days.filter(({ images, charged, atRisk }) => images > 0 || charged > 0 || atRisk > 0);
  if (spent.length === 0) return <p className={styles.explanation}>Nothing was spent in this month.</p>;
  return (
    <Table heads={["Day", "Jobs", "Images", "Charged", "At risk"]} label={`Spent by day in ${monthWords(month)}`}>
      {spent.map(({ day, jobs, images, charged, atRisk }) => (
        <tr key={day}>
          <th scope="row">{`${day} ${monthWords(month)}`}</th>
          <td>{jobs}</td>
          <td>{images}</td>
          <td>{words(charged)}</td>
          <td>{words(atRisk)}</td>
        </tr>
      ))}
    </Table>
  );
}

function Models({ usage, words }: TableProps & { readonly usage: Usage }) {
  const { rows } = totalsOf(usage.buckets);
  const models = useLimits()?.models ?? [];
  if (rows.length === 0) return <p className={styles.explanation}>Nothing was spent in this month.</p>;
  return (
    <Table heads={["Client", "Model", "Jobs", "Images", "Charged", "At risk"]} label="Spent by client and model">
      {rows.map(({ client, model, jobs, images, charged, atRisk }) => {
        const price = models.find((known) => known.model === model)?.price ?? null;
        const isUnknown = charged === 0 && images > 0 && price === null;
        return (
          <tr key={`${client} ${model}`}>
            <th scope="row">{client}</th>
            <td data-text>
              {model}
              {price !== null && <small>{`about ${moneyWords(price.perImage, price.currency)} an image`}</small>}
              {isUnknown && (
                <small>
                  price not known: set <code>PRICES</code>
                </small>
              )}
            </td>
            <td>{jobs}</td>
            <td>{images}</td>
            <td>{isUnknown ? "not known" : words(charged)}</td>
            <td>{words(atRisk)}</td>
          </tr>
        );
      })}
    </Table>
  );
}

interface SheetProps {
  readonly heads: readonly string[];
  readonly label: string;
  readonly children: ReactNode;
}

/** Scrolls sideways by itself where the window is too narrow for it. */
function Table({ heads, label, children }: SheetProps) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a box that scrolls must be reachable by keyboard.
    <section className={styles.sheet} aria-label={label} tabIndex={0}>
      <table>
        <thead>
          <tr>
            {heads.map((head) => (
              <th key={head} scope="col" data-text={head === "Model" || undefined}>
                {head}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </section>
  );
}

/** `November 2026`. */
function monthWords(month: string): string {
  const first = new Date(`${month}-01T00:00:00Z`);
  return first.toLocaleDateString("en-GB", { month: "long", year: "numeric", timeZone: "UTC" });
}
