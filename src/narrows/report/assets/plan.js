// One shared network against one network per task: the formulas of narrows/analysis/plan.py, in the same order.
// No page and no dependency is needed: plan(measured, assumptions) takes and gives plain values, as Plan.to_json().
"use strict";

(function () {
  const GB = 1e9;

  function side(measured, assumptions, networks, diskBytes, loadedBytes, hours, before) {
    const storageGb = (diskBytes * assumptions.copies) / GB;
    const allGb = (loadedBytes * assumptions.replicas) / GB;
    // Packed: what lies on disk is kept in memory, beside one network to run. Never more than all networks loaded.
    const packedGb = (Math.min(loadedBytes, measured.dense_bytes + diskBytes) * assumptions.replicas) / GB;
    const memoryGb = assumptions.packed ? packedGb : allGb;
    const storage = storageGb * assumptions.price_gb_month;
    const memory = memoryGb * assumptions.price_memory_gb_month;
    const training = hours * assumptions.price_gpu_hour;
    const upkeep = networks * assumptions.upkeep_hours * assumptions.price_engineer_hour;
    return {
      networks: networks,
      storage_gb: storageGb,
      memory_all_gb: allGb,
      memory_packed_gb: packedGb,
      memory_gb: memoryGb,
      training_hours: hours,
      storage: storage,
      memory: memory,
      training: training,
      upkeep: upkeep,
      cumulative: before + storage + memory + training + upkeep,
    };
  }

  // The first month from which the shared network has cost less in all, to the end.
  function payback(months) {
    let first = null;
    for (let at = months.length - 1; at >= 0; at -= 1) {
      if (months[at].shared.cumulative >= months[at].separate.cumulative) break;
      first = months[at].month;
    }
    return first;
  }

  function plan(measured, assumptions) {
    const setup = assumptions.setup_hours * assumptions.price_engineer_hour;
    const fit = assumptions.tasks_per_network || measured.tasks_per_network || null;
    const months = [];
    const saved = { storage: 0, memory: 0, training: 0, upkeep: 0 };
    let sharedTotal = setup;
    let separateTotal = 0;
    let second = null;
    let packedBytes = measured.store_bytes;
    let before = measured.tasks;
    let networks = 1;
    let room = fit === null ? null : Math.max(fit, measured.tasks);
    for (let month = 1; month <= assumptions.months; month += 1) {
      const tasks = measured.tasks + Math.floor(assumptions.tasks_per_month * month + 1e-9);
      for (let number = before + 1; number <= tasks; number += 1) {
        const ahead = number - measured.tasks - 1;
        let size = Math.max(0, measured.task_bytes + measured.task_bytes_growth * ahead);
        if (room !== null && number > room) {
          networks += 1;
          room += fit;
          size = measured.base_bytes + measured.first_task_bytes;
          if (second === null) second = month;
        }
        packedBytes += size;
      }
      const added = tasks - before;
      before = tasks;
      const hours = added * measured.task_hours * assumptions.training_scale;
      const dense = tasks * measured.dense_bytes;
      const shared = side(measured, assumptions, networks, packedBytes, dense, hours, sharedTotal);
      const separate = side(measured, assumptions, tasks, dense, dense, hours / measured.step_ratio, separateTotal);
      sharedTotal = shared.cumulative;
      separateTotal = separate.cumulative;
      for (const kind of Object.keys(saved)) saved[kind] += separate[kind] - shared[kind];
      months.push({ month: month, tasks: tasks, added: added, shared: shared, separate: separate });
    }
    return {
      setup: setup,
      months: months,
      saved_storage: saved.storage,
      saved_memory: saved.memory,
      saved_training: saved.training,
      saved_upkeep: saved.upkeep,
      saved: separateTotal - sharedTotal,
      payback_month: payback(months),
      second_network_month: second,
    };
  }

  globalThis.narrowsPlan = plan;
})();
