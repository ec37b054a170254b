package io.espalier.onnx.tune;

import io.espalier.onnx.compare.TaskScore;
import io.espalier.onnx.inputs.Inputs;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.shape.ModelCost;
import io.espalier.onnx.slim.SlimResult;
import io.espalier.onnx.slim.Slimming;
import io.espalier.onnx.tune.TunedSlim.Round;
import io.espalier.state.MetadataJson;
import io.espalier.tensor.EspalierException;

import tools.jackson.core.type.TypeReference;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** One slimming with training on its way: round after round, from what is kept of them. */
final class SlimTuningRun {
    private static final TypeReference<GroupHistory.Kept> HISTORY = new TypeReference<>() {};
    private static final TypeReference<Round> ROUND = new TypeReference<>() {};

    private final Slimming slimming;
    private final int rounds;
    private final Checkpoint checkpoint;
    private final Inputs data;
    private final GroupHistory history;

    /** Its teacher has of values inside what each round has left of them. */
    private FineTuner tuner;

    /**
     * @param tuner with a round's share of time
     * @param checkpoint the caller's, which says of what it is
     */
    SlimTuningRun(
            Slimming slimming, FineTuner tuner, int rounds, Checkpoint checkpoint, Inputs data) {
        this.slimming = slimming;
        this.tuner = tuner;
        this.rounds = rounds;
        this.checkpoint = checkpoint;
        this.data = data;
        history = new GroupHistory(slimming.groups());
    }

    TunedSlim run() {
        OnnxModel now = slimming.model();
        List<Round> done = new ArrayList<>();
        for (int round = 1; round <= rounds; round++) {
            OnnxModel slim = slim(now, round);
            now = trained(slim, round, done);
        }
        return new TunedSlim(history.result(now), done);
    }

    private OnnxModel slim(OnnxModel now, int round) {
        String name = "slim-" + round;
        Optional<OnnxModel> kept = checkpoint.model(name);
        if (kept.isPresent()) {
            history.takeUp(read(name, HISTORY));
            tuner = tuner.taught(teacher -> checkpoint.model(teacher(round)).orElse(teacher));
            return kept.get();
        }
        SlimResult result =
                rounds == 1
                        ? slimming.run()
                        : slimming.part(now, (double) (round - 1) / rounds, (double) round / rounds)
                                .run();
        history.add(result);
        tuner = tuner.taught(teacher -> kept(round, result.values().of(teacher)));
        checkpoint.keep(name, MetadataJson.write(history.kept()));
        checkpoint.keep(name, result.model());
        return result.model();
    }

    private OnnxModel kept(int round, OnnxModel teacher) {
        checkpoint.keep(teacher(round), teacher);
        return teacher;
    }

    private static String teacher(int round) {
        return "teacher-" + round;
    }

    private OnnxModel trained(OnnxModel slim, int round, List<Round> done) {
        String name = "tuned-" + round;
        Optional<OnnxModel> kept = checkpoint.model(name);
        if (kept.isPresent()) {
            done.add(read(name, ROUND));
            return kept.get();
        }
        TunedModel tuned =
                checkpoint
                        .round(round)
                        .map(folder -> tuner.checkpoints(folder, checkpoint.goesOn()))
                        .orElse(tuner)
                        .tune(slim, data);
        Round said = round(tuned);
        done.add(said);
        checkpoint.keep(name, MetadataJson.write(said));
        checkpoint.keep(name, tuned.model());
        return tuned.model();
    }

    private Round round(TunedModel tuned) {
        ModelCost cost = SlimResult.cost(tuned.model(), data);
        String metric = tuned.score().map(TaskScore::metric).orElse("cosine");
        double slimmed =
                tuned.score().map(TaskScore::reference).orElse(1 - tuned.dropBefore().orElse(0));
        double after =
                tuned.score().map(TaskScore::candidate).orElse(1 - tuned.dropAfter().orElse(0));
        return new Round(cost.parameters(), cost.macs(), metric, slimmed, after, tuned.steps());
    }

    private <T> T read(String name, TypeReference<T> type) {
        try {
            return MetadataJson.read(checkpoint.text(name), type);
        } catch (EspalierException e) {
            throw checkpoint.damaged(name, e);
        }
    }
}
