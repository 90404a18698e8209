/**
 * Faults that the simulation found in the product, each with its seed. A seed stays useful as long as the simulation's draws
 * do not change: a fault, plan or delay that is added under a new label changes no other draw.
 */
export interface Regression {
  readonly seed: number;
  readonly story: string;
}

export const REGRESSIONS: readonly Regression[] = [
  { seed: 245, story: "an upload that cannot be read uses up an attempt and a start" },
  { seed: 35, story: "an upload that breaks off while it is sent uses up an attempt" },
  { seed: 550, story: "a put that outlived its object lands after the job's files were removed" },
  { seed: 67, story: "a put that was abandoned lands after the job's files were removed" },
  { seed: 204, story: "a repeated submission meets its own job and gives its place in the limit back" },
  { seed: 303, story: "a task that is accepted after its call was hung up is not resumed, and another is paid for" },
  { seed: 114, story: "a repeated submission meets its own job and does not notify the catalog" },
  { seed: 400429, story: "a removed job repeats its other calls each time that it wakes to try its webhook again" },
  {
    seed: 1001935,
    story: "a job refuses an offer, gets the same lease by asking, and its refusal gives the start to another job too",
  },
  {
    seed: 1102086,
    story: "reads of a task hang until the time for a late answer is over, and the first one that comes drops the task",
  },
  {
    seed: 2001428,
    story:
      "a retry that meets a running job takes no room, and is carried out because the job is canceled before it is asked",
  },
  {
    seed: 3002842,
    story:
      "a claim of a held answer is carried out after its request hung up, and its mark is taken in place of the job's",
  },
  {
    seed: 3100732,
    story: "a late claim of a request that was given up stores a mark that the next repetition takes, and pays again",
  },
  {
    seed: 3101126,
    story: "room that was granted is used after the grant has ended, and one job too many is unfinished",
  },
  { seed: 3000128, story: "an answer is lost whose sending was stored 15 s late, and its repetition is another job" },
  { seed: 4000422, story: "a client that hung up while its answer's sending was stored counts as answered" },
  {
    seed: 6207303,
    story:
      "uploads are removed for longer than their object waits, and the image of the job that was made since goes with them",
  },
  {
    seed: 6208019,
    story: "a retried job's object dies before it notifies its catalog, which counts the job as ended for 45 s",
  },
  {
    seed: 6209099,
    story:
      "the answer to a retry is lost with its object, its catalog counts the job as ended for 45 s, and one job too many is unfinished",
  },
  {
    seed: 6208042,
    story: "a job's entry arrives after its room has ended and uses up another's, and one job too many is unfinished",
  },
  {
    seed: 6322018,
    story:
      "an upload stops coming while it is sent, and the attempt counts as a failure of upstream, which was never called",
  },
  {
    seed: 4313717,
    story:
      "a submission is stored after its room has ended, its catalog learns of it late, and one job too many is unfinished",
  },
  {
    seed: 6416865,
    story: "a lane whose settings are wrong forgets starts and gives a lease by its model's own quota",
  },
];
