import { type ReactNode, useState } from "react";
import type { InputImage, Job } from "../../../schemas/job.ts";
import { paths } from "../../../schemas/paths.ts";
import { StoredImage } from "../../components/stored-image.tsx";
import { useKeptFileUrl } from "../../data/file-store.ts";
import { bytesWords } from "../../state/draft-check.ts";
import { keyed } from "../../state/keyed.ts";
import { costWords } from "../../state/money-words.ts";
import { shownSize } from "../../state/sizes.ts";
import { clockWords, dateWords } from "../../state/time-words.ts";
import styles from "./job-facts.module.css";

interface JobFactsProps {
  readonly job: Job;
  /** Without a session: images are opened by their signed links. */
  readonly byLink?: boolean;
}

/** Every parameter of the request, and the results. */
export function JobFacts({ job, byLink = false }: JobFactsProps) {
  const { request } = job;
  const images = job.output?.images ?? [];
  const metadata = Object.entries(job.metadata);
  return (
    <section aria-labelledby="facts-title">
      <h2 id="facts-title" className={styles.title}>
        Parameters
      </h2>
      <dl className={styles.facts}>
        <Fact term="Model">{job.model}</Fact>
        <Fact term="Made from">{job.workflow === "image-from-text" ? "text" : "reference images"}</Fact>
        {request.images.length > 0 && (
          <Fact term="References">
            <ol className={styles.inputs}>
              {keyed(request.images, inputIdentity).map(({ key, item }, index) => (
                <li key={key}>
                  <Input image={item} path={byLink ? null : paths.jobInput(job.id, index)} />
                </li>
              ))}
            </ol>
          </Fact>
        )}
        {request.negativePrompt !== null && (
          <Fact term="Negative prompt">
            <bdi>{request.negativePrompt}</bdi>
          </Fact>
        )}
        <Fact term="Size">{request.size === null ? "left to the model" : shownSize(request.size)}</Fact>
        <Fact term="Images">{request.n}</Fact>
        <Fact term="Seed">{request.seed ?? "random"}</Fact>
        <Fact term="Prompt enriched">{choiceWords(request.promptExtend)}</Fact>
        {request.promptExtendMode != null && <Fact term="How it was enriched">{request.promptExtendMode}</Fact>}
        {request.thinking != null && <Fact term="Planned before drawing">{choiceWords(request.thinking)}</Fact>}
        <Fact term="Watermark">{choiceWords(request.watermark)}</Fact>
        <Fact term="Priority">{request.priority}</Fact>
        <Fact term="Attempts at most">{request.maxAttempts}</Fact>
        <Fact term="If no answer comes">
          {request.onUncertain === "retry"
            ? "try again, though it may be paid twice"
            : "fail, so that nothing is paid twice"}
        </Fact>
        {job.cost !== null && <Fact term="Cost">{costWords(job.cost, job.done)}</Fact>}
        {images.map((image) => (
          <Fact key={image.index} term={images.length > 1 ? `Result ${image.index + 1}` : "Result"}>
            {`${image.width}×${image.height}, ${bytesWords(image.bytes)}, ${kindWords(image.contentType)}`}
          </Fact>
        ))}
        {metadata.map(([key, value]) => (
          <Fact key={key} term={key}>
            {String(value)}
          </Fact>
        ))}
        {!job.done && <Fact term="Gives up">{whenWords(job.deadlineAt)}</Fact>}
        {job.pinned ? (
          <Fact term="Kept until">pinned: until it is unpinned</Fact>
        ) : (
          job.expiresAt !== null && <Fact term="Kept until">{dateWords(Date.parse(job.expiresAt))}</Fact>
        )}
        <Fact term="Id">
          <code>{job.id}</code>
        </Fact>
      </dl>
    </section>
  );
}

function inputIdentity(image: InputImage): string {
  return image.kind === "url" ? image.url : image.sha256;
}

function Fact({ term, children }: { readonly term: string; readonly children: ReactNode }) {
  return (
    <div>
      <dt>{term}</dt>
      <dd>{children}</dd>
    </div>
  );
}

/** An address is shown as a link and not loaded, so that its host does not learn who looks at the job. */
function Input({ image, path }: { readonly image: InputImage; readonly path: string | null }) {
  if (image.kind === "upload") return <Upload image={image} path={path} />;
  return (
    <a href={image.url} target="_blank" rel="noreferrer noopener">
      {image.url}
    </a>
  );
}

interface UploadProps {
  readonly image: Extract<InputImage, { kind: "upload" }>;
  /** The upload's path in the API, which a session opens; null without a session, where only signed links open images. */
  readonly path: string | null;
}

/** An upload, small. Everyone who may see the job sees it; where the server has no address for it, only the browser with the file. */
function Upload({ image, path }: UploadProps) {
  const kept = useKeptFileUrl(image.url === undefined ? image.sha256 : null);
  const link = useFirst(image.url ?? null, image.sha256);
  const [unshown, setUnshown] = useState<string | null>(null);
  const words = `${kindWords(image.contentType)}, ${image.width}×${image.height}, ${bytesWords(image.bytes)}`;
  const alt = `Reference, ${words}`;
  const stored = link === null ? null : (path ?? link);
  return (
    <>
      {stored !== null && (
        <StoredImage className={styles.thumb} address={stored} image={image} sizes="8rem" alt={alt} />
      )}
      {kept !== null && kept !== unshown && (
        <img
          className={styles.thumb}
          src={kept}
          alt={alt}
          width={image.width}
          height={image.height}
          onError={() => setUnshown(kept)}
        />
      )}
      {words}
    </>
  );
}

/** The first known address of an image: signed links change with time, and a changed one would load the same image again. */
function useFirst(address: string | null, identity: string): string | null {
  const [first, setFirst] = useState({ address, identity });
  if (first.identity !== identity || first.address === null) {
    if (first.address !== address || first.identity !== identity) setFirst({ address, identity });
    return address;
  }
  return first.address;
}

/** `PNG`, `JPEG`. */
function kindWords(contentType: string): string {
  return contentType.replace("image/", "").toUpperCase();
}

function choiceWords(value: boolean | null): string {
  if (value === null) return "left to the model";
  return value ? "yes" : "no";
}

function whenWords(at: string): string {
  const atMs = Date.parse(at);
  return `${dateWords(atMs)}, ${clockWords(atMs)}`;
}
