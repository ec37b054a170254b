package io.espalier.data;

import static io.espalier.Errors.messageOf;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.NoSuchElementException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;

class DataLoaderTest {
    /** Examples that are their own numbers. */
    record Numbers(int size) implements MapDataset {
        @Override
        public Sample get(int index) {
            return Sample.labelled(Tensors.of((float) index), index);
        }
    }

    static List<Long> targets(Iterable<Batch> batches) {
        var all = new ArrayList<Long>();
        for (Batch batch : batches) {
            for (long target : Tensors.longs(batch.target())) {
                all.add(target);
            }
        }
        return all;
    }

    static List<Long> targets(Batches batches) {
        return targets(() -> batches);
    }

    static void await(Thread thread) throws InterruptedException {
        assertTrue(thread.join(Duration.ofSeconds(20)), "the loader's thread went on");
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 3})
    @DisplayName("gives every example once, in order, the smaller rest last")
    void inOrder(int ahead) {
        var loader = new DataLoader(new Numbers(7), 3).ahead(ahead);
        assertEquals(List.of(0L, 1L, 2L, 3L, 4L, 5L, 6L), targets(loader));
        assertEquals(3, loader.batches());
        assertEquals(List.of(0L, 1L, 2L, 3L, 4L, 5L), targets(loader.dropLast()));
        assertEquals(2, loader.dropLast().batches());
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 2})
    @DisplayName("a batch has the examples' inputs and targets along its first dimension")
    void collates(int ahead) {
        try (Batches batches = new DataLoader(new Numbers(5), 4).ahead(ahead).epoch(0)) {
            Batch batch = batches.next();
            assertEquals(4, batch.size());
            assertArrayEquals(new long[] {4, 1}, Tensors.shape(batch.input()));
            assertArrayEquals(new long[] {4}, Tensors.shape(batch.target()));
            assertArrayEquals(new float[] {0, 1, 2, 3}, Tensors.floats(batch.input()));
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 2})
    @DisplayName("an epoch's order depends on the seed and the epoch alone, from any batch on")
    void shuffles(int ahead) {
        var loader = new DataLoader(new Numbers(100), 8).shuffled(7).ahead(ahead);
        List<Long> first = targets(loader);
        List<Long> second = targets(loader);
        assertNotEquals(first, second);
        assertEquals(
                targets(new DataLoader(new Numbers(100), 8)),
                first.stream().sorted().toList(),
                "every example once");
        assertEquals(second, targets(loader.epoch(1)));
        assertEquals(second.subList(40, 100), targets(loader.epoch(1, 5)));
        assertNotEquals(first, targets(loader.shuffled(8).epoch(0)));
        assertEquals(List.of(), targets(loader.epoch(0, 13)));
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 2})
    @DisplayName(
            "a batch outlives every scope until the next is asked for, and what is kept longer")
    void batchesOutliveScopes(int ahead) {
        try (Batches batches = new DataLoader(new Numbers(6), 2).ahead(ahead).epoch(0)) {
            Batch first;
            try (var scope = new PointerScope()) {
                first = batches.next();
            }
            Tensor kept = Tensors.keep(first.input());
            assertArrayEquals(new float[] {0, 1}, Tensors.floats(first.input()));
            Tensor target = first.target();
            batches.next();
            assertTrue(target.isNull(), "freed");
            assertArrayEquals(new float[] {0, 1}, Tensors.floats(kept));
        }
    }

    @Test
    @DisplayName("a batch collected beyond its turn says that it was freed, and one kept lives on")
    void collected() {
        List<Batch> collected = new ArrayList<>();
        List<Tensor> kept = new ArrayList<>();
        for (Batch batch : new DataLoader(new Numbers(5), 2)) {
            collected.add(batch);
            if (collected.size() == 2) {
                kept.add(Tensors.keep(batch.input()));
            }
        }
        String freed =
                "This batch was freed when its loader went on to the next or its loop ended;"
                        + " Tensors.keep(batch.input()) inside the loop lets a tensor of it live"
                        + " on.";
        assertEquals(freed, messageOf(() -> collected.getFirst().input()));
        assertEquals(freed, messageOf(() -> collected.getFirst().target()));
        assertEquals(freed, messageOf(() -> collected.getLast().size()));
        assertArrayEquals(new float[] {2, 3}, Tensors.floats(kept.getFirst()));
        assertArrayEquals(new float[] {2, 3}, Tensors.floats(collected.get(1).input()));
    }

    @Test
    @DisplayName("a dataset that gives out its own tensors keeps them")
    void ownTensorsSurvive() {
        Batch own = new Batch(Tensors.ones(1, 2), Tensors.zeros(1));
        Dataset same =
                new Dataset() {
                    @Override
                    public int size() {
                        return 3;
                    }

                    @Override
                    public Batch batch(int[] indices) {
                        return own;
                    }
                };
        for (Batch batch : new DataLoader(same, 1)) {
            assertEquals(2, batch.input().numel());
        }
        assertArrayEquals(new float[] {1, 1}, Tensors.floats(own.input()));
    }

    @Test
    @DisplayName("loads no further ahead than it is told to, and stops when it is closed")
    void boundedAndClosed() throws InterruptedException {
        var made = new AtomicInteger();
        var thread = new AtomicReference<Thread>();
        var thirdBegun = new CountDownLatch(1);
        Dataset counted =
                new MapDataset() {
                    @Override
                    public int size() {
                        return 100;
                    }

                    @Override
                    public Sample get(int index) {
                        thread.set(Thread.currentThread());
                        if (made.incrementAndGet() == 3) {
                            thirdBegun.countDown();
                        }
                        return Sample.labelled(Tensors.ones(1), index);
                    }
                };
        Batches batches = new DataLoader(counted, 1).ahead(2).epoch(0);
        assertTrue(thirdBegun.await(20, TimeUnit.SECONDS));
        batches.close();
        await(thread.get());
        assertEquals(3, made.get(), "two in the queue and one waiting for a place");
        assertFalse(batches.hasNext());
        assertThrows(NoSuchElementException.class, batches::next);
    }

    @Test
    @DisplayName("a loop that is left early stops its thread, closed or not")
    void abandoned() throws InterruptedException {
        var thread = new AtomicReference<Thread>();
        Dataset endless =
                new MapDataset() {
                    @Override
                    public int size() {
                        return 1_000_000;
                    }

                    @Override
                    public Sample get(int index) {
                        thread.set(Thread.currentThread());
                        return Sample.labelled(Tensors.ones(1), index);
                    }
                };
        assertEquals(1, firstSize(new DataLoader(endless, 1).ahead(1)));
        for (int tries = 0; tries < 200 && thread.get().isAlive(); tries++) {
            System.gc();
            thread.get().join(100);
        }
        assertFalse(thread.get().isAlive());
    }

    private static int firstSize(DataLoader loader) {
        for (Batch batch : loader) {
            return batch.size();
        }
        return 0;
    }

    @Test
    @DisplayName("an error of the loading thread comes out where the batch is asked for")
    void errorsSurface() {
        MapDataset broken =
                new MapDataset() {
                    @Override
                    public int size() {
                        return 4;
                    }

                    @Override
                    public Sample get(int index) {
                        if (index == 2) {
                            throw new IllegalStateException("no picture");
                        }
                        return Sample.labelled(Tensors.ones(1), index);
                    }
                };
        for (int ahead : new int[] {0, 2}) {
            try (Batches batches = new DataLoader(broken, 1).ahead(ahead).epoch(0)) {
                batches.next();
                batches.next();
                assertEquals("Loading batch 2: no picture", messageOf(batches::next));
                assertFalse(batches.hasNext(), "nothing after an error");
            }
        }
    }

    @Test
    @DisplayName("parts of a dataset have their own numbering and share nothing")
    void parts() {
        var numbers = new Numbers(10);
        assertArrayEquals(
                new long[] {3, 1},
                Tensors.longs(numbers.subset(5, 3, 1).batch(new int[] {1, 2}).target()));
        assertArrayEquals(new long[] {0, 1, 2}, Tensors.longs(numbers.take(3).all().target()));
        Dataset.Split split = numbers.split(0.7, 1);
        List<Long> train = targets(new DataLoader(split.train(), 2));
        List<Long> validation = targets(new DataLoader(split.validation(), 2));
        assertEquals(7, train.size());
        assertEquals(3, validation.size());
        validation.forEach(number -> assertFalse(train.contains(number)));
        assertEquals(train, targets(new DataLoader(numbers.split(0.7, 1).train(), 2)));
    }

    @Test
    @DisplayName("numbers out of range and examples that don't fit together are named")
    void wrongUse() {
        var numbers = new Numbers(10);
        assertEquals(
                "A batch has at least 1 example; asked for batches of 0.",
                messageOf(() -> new DataLoader(numbers, 0)));
        assertEquals(
                "No example 10 in a dataset of 10; numbers go from 0.",
                messageOf(() -> numbers.subset(1, 10)));
        assertEquals(
                "Can't take 11 of 10 examples; take 0 to 10.", messageOf(() -> numbers.take(11)));
        assertEquals(
                "A share must be between 0 and 1; asked for 1.5.",
                messageOf(() -> numbers.split(1.5, 0)));
        assertEquals(
                "No batch 5 of epoch 0; an epoch has 4 batches, and both are counted from 0.",
                messageOf(() -> new DataLoader(numbers, 3).epoch(0, 5)));
        assertEquals(
                "Inputs and targets need the same first dimension; their shapes are [3, 2] and"
                        + " [2].",
                messageOf(() -> Dataset.of(Tensors.ones(3, 2), Tensors.ones(2))));
        String message =
                messageOf(() ->
                        Batch.of(
                                List.of(
                                        Sample.labelled(Tensors.ones(2), 0),
                                        Sample.labelled(Tensors.ones(3), 0))));
        assertTrue(message.startsWith("Making a batch of 2 inputs: "), message);
    }

    @Test
    @DisplayName("Examples that are not there are refused, and no more is made ahead than can be")
    void outOfRange() {
        Dataset three = Dataset.of(Tensors.randn(3, 2), Tensors.randn(3, 1));
        for (int wrong : new int[] {-1, 3}) {
            assertEquals(
                    "No example " + wrong + " in a dataset of 3; numbers go from 0.",
                    messageOf(() -> three.batch(new int[] {wrong})));
        }
        int seen = 0;
        for (Batch batch : new DataLoader(three, 1).ahead(Integer.MAX_VALUE)) {
            seen += (int) batch.input().size(0);
        }
        assertEquals(3, seen);
    }
}
