package io.espalier.prune;

import io.espalier.data.Batch;
import io.espalier.data.Batches;
import io.espalier.data.DataLoader;
import io.espalier.nn.Module;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;
import io.espalier.train.EvalMode;
import io.espalier.train.Loss;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.AutoGradMode;
import org.bytedeco.pytorch.BoolOptional;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.SequencedMap;

/** {@link Importance#gradient}: the sum over batches of |weight · gradient|. */
record GradientImportance(Module model, Loss loss, DataLoader loader) implements Importance {
    @Override
    public SequencedMap<Target, Tensor> scores(List<Target> targets) {
        if (loader.batches() == 0) {
            throw new EspalierException(
                    "Gradients need at least one batch; the dataset has "
                            + loader.dataset().size()
                            + " examples.");
        }
        List<Tensor> parameters = new ArrayList<>();
        SequencedMap<Target, Tensor> scores = new LinkedHashMap<>();
        for (Target target : targets) {
            Module module = target.module().current();
            DynamicMask.ranked(target);
            Tensor parameter = module.parameter(module.storedName(target.name()));
            if (!parameter.requires_grad()) {
                throw new EspalierException(
                        "'"
                                + target.name()
                                + "' of "
                                + module.getClass().getSimpleName()
                                + " is frozen and has no gradient; let it require one first.");
            }
            parameters.add(parameter);
            scores.put(target, Tensors.keep(torch.zeros_like(parameter.detach())));
        }
        try (var inference = new EvalMode(model);
                Batches batches = loader.epoch(0)) {
            while (batches.hasNext()) {
                accumulate(batches.next(), parameters, List.copyOf(scores.values()));
            }
        }
        return scores;
    }

    private void accumulate(Batch batch, List<Tensor> parameters, List<Tensor> scores) {
        // Masks are decided where no gradients are recorded.
        try (var scope = new PointerScope();
                var recording = new AutoGradMode(true)) {
            Tensor value = loss.of(model.call(batch.input()), batch.target());
            TensorVector gradients =
                    torch.grad(
                            new TensorVector(value),
                            new TensorVector(parameters.toArray(new Tensor[0])),
                            new TensorVector(),
                            new BoolOptional(false),
                            false,
                            true);
            try (var guard = new NoGradGuard()) {
                for (int i = 0; i < parameters.size(); i++) {
                    Tensor gradient = gradients.get(i);
                    // A parameter that this batch's output doesn't depend on has none.
                    if (gradient.defined()) {
                        scores.get(i).add_(parameters.get(i).mul(gradient).abs());
                    }
                }
            }
        }
    }
}
