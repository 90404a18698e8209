/** DashScope's shared hosts by region (its base-url page, 2026-10-11); each ends before `/api/v1`. */
export const REGION_HOSTS = {
  sg: "https://dashscope-intl.aliyuncs.com",
  bj: "https://dashscope.aliyuncs.com",
  us: "https://dashscope-us.aliyuncs.com",
  hk: "https://cn-hongkong.dashscope.aliyuncs.com",
} as const;

export type Region = keyof typeof REGION_HOSTS;

/** As people call them. */
export const REGION_NAMES: Readonly<Record<Region, string>> = {
  sg: "Singapore",
  bj: "Beijing",
  us: "US (Virginia)",
  hk: "Hong Kong",
};
