import { useState } from "react";
import type { Job } from "../../../schemas/job.ts";
import type { Delivery } from "../../../schemas/webhook.ts";
import { Button } from "../../components/button.tsx";
import { Icon, type IconName } from "../../components/icon.tsx";
import { useDeliveries } from "../../data/deliveries.ts";
import { asSentence } from "../../state/sentence.ts";
import { clockWords, dateWords } from "../../state/time-words.ts";
import styles from "./timeline.module.css";

/** The events that were sent to the job's webhook, with a way to send them again; nothing for a job without one. */
export function Webhook({ job }: { readonly job: Job }) {
  const { known, resend } = useDeliveries(job);
  if (known.length === 0) return null;
  return (
    <section aria-labelledby="webhook-title">
      <h2 id="webhook-title" className={styles.title}>
        Webhook
      </h2>
      <ul className={styles.timeline}>
        {known.map((delivery) => (
          <Item key={delivery.number} delivery={delivery} onResend={() => resend(delivery.number)} />
        ))}
      </ul>
    </section>
  );
}

const LOOKS: Readonly<Record<Delivery["state"], { icon: IconName; tone: string; words: string }>> = {
  pending: { icon: "waiting", tone: "retrying", words: "is being sent" },
  delivered: { icon: "ready", tone: "ready", words: "delivered" },
  gone: { icon: "canceled", tone: "failed", words: "not wanted" },
  failed: { icon: "failed", tone: "failed", words: "not delivered" },
};

function Item({ delivery, onResend }: { readonly delivery: Delivery; readonly onResend: () => Promise<void> }) {
  const [busy, setBusy] = useState(false);
  const { type, state, reason, url, tries, createdAt, nextTryAt } = delivery;
  const { icon, tone, words } = LOOKS[state];
  const last = tries.at(-1);
  const error = reason ?? (state === "pending" ? (last?.error ?? null) : null);
  const press = async () => {
    setBusy(true);
    await onResend();
    setBusy(false);
  };
  return (
    <li data-tone={tone}>
      <Icon name={icon} />
      <div>
        <p>
          <strong>
            {type} {words}
          </strong>{" "}
          <time dateTime={createdAt}>{clockWords(Date.parse(createdAt))}</time>
        </p>
        <p className={styles.note}>{url}</p>
        <p className={styles.note}>
          {tries.length === 1 ? "1 try" : `${tries.length} tries`}
          {last?.status != null && `, the last answered ${last.status}`}
          {nextTryAt !== null &&
            `, the next at ${clockWords(Date.parse(nextTryAt))}, ${dateWords(Date.parse(nextTryAt))}`}
        </p>
        {error !== null && <p className={styles.note}>{asSentence(error)}</p>}
        {last?.answer != null && last.answer !== "" && state !== "delivered" && (
          <p className={styles.said}>{last.answer}</p>
        )}
        <Button look="quiet" busy={busy} onClick={press}>
          <Icon name="again" /> Send again
        </Button>
      </div>
    </li>
  );
}
