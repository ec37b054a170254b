package io.espalier.prune;

import io.espalier.nn.Module;
import io.espalier.nn.Parametrization;

import org.bytedeco.pytorch.GradMode;
import org.bytedeco.pytorch.Tensor;

import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * A mask that is decided again while the model trains, so that what was pruned too early can
 * return; {@link DynamicPruning} puts it on and decides. Its state is the owner's buffer {@code
 * NAME_mask}, as that of {@link io.espalier.nn.Mask}, into which {@link DynamicPruning#freeze}
 * turns it.
 */
sealed interface DynamicMask extends Parametrization {
    /** The parameter's public name. */
    String name();

    /** What is multiplied by, from the owner's buffer. */
    default Tensor mask(Module owner) {
        return owner.buffer(maskName());
    }

    private String maskName() {
        return name() + "_mask";
    }

    @Override
    default List<String> buffers() {
        return List.of(maskName());
    }

    /** The dynamic mask on a parameter, if there is one. */
    static Optional<DynamicMask> on(Module module, String name) {
        return module.parametrizations(name).stream()
                .filter(DynamicMask.class::isInstance)
                .map(DynamicMask.class::cast)
                .findFirst();
    }

    /**
     * What a parameter's entries are ranked by: what its mask leaves, or, where the mask is a
     * dynamic one, all of it.
     */
    static Tensor ranked(Target target) {
        Module module = target.module().current();
        return on(module, target.name()).isPresent()
                ? module.parameter(module.storedName(target.name())).detach()
                : Site.of(target).value();
    }

    /** Whether a gradient will be asked for. */
    private static boolean records(Tensor value) {
        return value.requires_grad() && GradMode.is_enabled();
    }

    /**
     * The masked value, whose gradient reaches the masked entries as well, as if the mask were not
     * there: a pruned weight goes on learning, and returns when it has grown (Guo et al., <a
     * href="https://arxiv.org/abs/1608.04493">Dynamic Network Surgery</a>, 2016).
     */
    record StraightThrough(String name) implements DynamicMask {
        @Override
        public Tensor apply(Module owner, Tensor value) {
            Tensor masked = value.mul(mask(owner));
            // Exact: v + (v − v) is v, and v + (0 − v) is 0.
            return records(value) ? value.add(masked.sub(value).detach()) : masked;
        }
    }

    /** The masked value; what is masked never returns and no longer learns. */
    record Shrinking(String name) implements DynamicMask {
        @Override
        public Tensor apply(Module owner, Tensor value) {
            return value.mul(mask(owner));
        }
    }

    /**
     * The masked value; beside it the owner's buffer {@code NAME_scores} collects, as its gradient,
     * weight · ∂loss/∂value of all entries, masked or not (Sanh et al., <a
     * href="https://arxiv.org/abs/2005.07683">Movement Pruning</a>, 2020, equation 3).
     */
    record Movement(String name) implements DynamicMask {
        String scoresName() {
            return name + "_scores";
        }

        Tensor scores(Module owner) {
            return owner.buffer(scoresName());
        }

        @Override
        public List<String> buffers() {
            return Stream.concat(DynamicMask.super.buffers().stream(), Stream.of(scoresName()))
                    .toList();
        }

        /** Moves what was collected into the scores. */
        void takeGradient(Module owner) {
            Tensor scores = scores(owner);
            Tensor gradient = scores.grad();
            if (gradient.defined()) {
                scores.sub_(gradient);
                gradient.zero_();
            }
        }

        @Override
        public Tensor apply(Module owner, Tensor value) {
            Tensor masked = value.mul(mask(owner));
            if (!records(value)) {
                return masked;
            }
            Tensor scores = scores(owner).requires_grad_(true);
            // The added term is 0; its derivative by the scores is the weight.
            return masked.add(value.detach().mul(scores.sub(scores.detach())));
        }
    }
}
