//! Decides which files of ended jobs to delete, according to the `[storage]` settings. Does not access the disk.

use crate::config::StorageSettings;
use crate::store::deletions::JobPart;
use crate::store::ids::JobId;
use crate::store::jobs::JobState;

/// A job that has ended, with the sizes of its files in bytes; 0 for missing files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct EndedFiles {
    pub(super) id: JobId,
    pub(super) state: JobState,
    /// Whether something depends on the job's model, or the user wants to keep it.
    pub(super) is_needed: bool,
    pub(super) previous_checkpoint: u64,
    /// All checkpoints, including the previous one.
    pub(super) checkpoints: u64,
    /// All large files, including the checkpoints.
    pub(super) files: u64,
}

impl EndedFiles {
    fn bytes(&self, part: JobPart) -> u64 {
        match part {
            JobPart::PreviousCheckpoint => self.previous_checkpoint,
            JobPart::Checkpoints => self.checkpoints,
            JobPart::Files => self.files,
        }
    }

    /// Returns which part of the job to delete even if there is enough space. `rank` counts from the newest job.
    fn unwanted(&self, rank: usize, keep: &StorageSettings) -> Option<JobPart> {
        let is_old = keep.keep_jobs > 0 && rank >= keep.keep_jobs as usize;
        let part = match (self.state, keep.keep_checkpoints) {
            _ if is_old && !self.is_needed => JobPart::Files,
            (JobState::Completed, 0) => JobPart::Checkpoints,
            (JobState::Completed, 1) => JobPart::PreviousCheckpoint,
            _ => return None,
        };
        Some(part).filter(|&part| self.bytes(part) > 0)
    }
}

/// Chooses what to delete: at most one part per job.
///
/// * `jobs`: newest first.
/// * `used`: bytes in the whole data folder.
/// * `room`: bytes of `max_bytes` that must stay free.
pub(super) fn choose(
    jobs: &[EndedFiles],
    keep: &StorageSettings,
    used: u64,
    room: u64,
) -> Vec<(JobId, JobPart)> {
    let mut parts: Vec<Option<JobPart>> =
        jobs.iter().enumerate().map(|(rank, job)| job.unwanted(rank, keep)).collect();
    let freed = |job: &EndedFiles, part: Option<JobPart>| part.map_or(0, |part| job.bytes(part));
    let freed_so_far: u64 = jobs.iter().zip(&parts).map(|(job, &part)| freed(job, part)).sum();
    let mut used = used.saturating_sub(freed_so_far);
    let limit = keep.max_bytes.saturating_sub(room);
    for (job, part) in jobs.iter().zip(&mut parts).rev() {
        if keep.max_bytes == 0 || used <= limit {
            break;
        }
        if !job.is_needed && job.files > 0 {
            used = used.saturating_sub(job.files - freed(job, *part));
            *part = Some(JobPart::Files);
        }
    }
    jobs.iter().zip(parts).filter_map(|(job, part)| Some((job.id, part?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(state: JobState) -> EndedFiles {
        EndedFiles {
            id: JobId::new(),
            state,
            is_needed: false,
            previous_checkpoint: 10,
            checkpoints: 20,
            files: 100,
        }
    }

    fn completed(count: usize) -> Vec<EndedFiles> {
        (0..count).map(|_| job(JobState::Completed)).collect()
    }

    /// Returns the chosen parts, each with its job's index in `jobs`.
    fn chosen(jobs: &[EndedFiles], keep: &StorageSettings, used: u64) -> Vec<(usize, JobPart)> {
        let place = |id| jobs.iter().position(|job| job.id == id).unwrap();
        choose(jobs, keep, used, 0).into_iter().map(|(id, part)| (place(id), part)).collect()
    }

    fn keep(keep_checkpoints: u32, keep_jobs: u32, max_bytes: u64) -> StorageSettings {
        StorageSettings { keep_checkpoints, keep_jobs, max_bytes, ..StorageSettings::default() }
    }

    #[test]
    fn without_limits_everything_is_kept() {
        assert_eq!(chosen(&completed(3), &keep(2, 0, 0), u64::MAX), []);
    }

    #[test]
    fn completed_jobs_keep_the_configured_number_of_checkpoints() {
        let mut jobs = completed(1);
        jobs.push(job(JobState::Failed)); // It may be resumed.
        assert_eq!(chosen(&jobs, &keep(1, 0, 0), 0), [(0, JobPart::PreviousCheckpoint)]);
        assert_eq!(chosen(&jobs, &keep(0, 0, 0), 0), [(0, JobPart::Checkpoints)]);
        jobs[0].previous_checkpoint = 0;
        assert_eq!(chosen(&jobs, &keep(1, 0, 0), 0), [], "already deleted");
    }

    #[test]
    fn the_newest_jobs_keep_their_files_and_older_jobs_keep_only_needed_files() {
        let mut jobs = completed(4);
        jobs[2].is_needed = true;
        assert_eq!(chosen(&jobs, &keep(2, 1, 0), 0), [(1, JobPart::Files), (3, JobPart::Files)]);
        jobs[3].files = 0;
        assert_eq!(chosen(&jobs, &keep(2, 1, 0), 0), [(1, JobPart::Files)]);
    }

    #[test]
    fn the_oldest_files_are_deleted_first_until_the_folder_is_small_enough() {
        let mut jobs = completed(4);
        jobs[3].is_needed = true;
        assert_eq!(chosen(&jobs, &keep(2, 0, 1000), 1000), []);
        assert_eq!(chosen(&jobs, &keep(2, 0, 1000), 1001), [(2, JobPart::Files)]);
        let two = [(1, JobPart::Files), (2, JobPart::Files)];
        assert_eq!(chosen(&jobs, &keep(2, 0, 1000), 1101), two);
        let all = [(0, JobPart::Files), (1, JobPart::Files), (2, JobPart::Files)];
        assert_eq!(chosen(&jobs, &keep(2, 0, 1000), 9999), all, "needed files are never deleted");
    }

    #[test]
    fn planned_deletions_count_before_more_files_are_chosen() {
        let jobs = completed(2);
        let both = [(0, JobPart::PreviousCheckpoint), (1, JobPart::PreviousCheckpoint)];
        assert_eq!(chosen(&jobs, &keep(1, 0, 1000), 1020), both);
        let more = [(0, JobPart::PreviousCheckpoint), (1, JobPart::Files)];
        assert_eq!(chosen(&jobs, &keep(1, 0, 1000), 1021), more);
        assert_eq!(choose(&jobs, &keep(2, 0, 1000), 950, 50), []);
        assert_eq!(choose(&jobs, &keep(2, 0, 1000), 950, 51).len(), 1, "one job must make room");
    }
}
